document.getElementById("url").textContent = location.origin;
const ui = SwaggerUIBundle({
  url: "/_emulator/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete: () => ui.preauthorizeApiKey("bearer", "sd_local"),
});
