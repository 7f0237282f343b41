document.getElementById("url").textContent = location.origin;

// Swagger UI keeps the values of one media type for the next, and sends blank fields.
const forms = () => ({
  wrapComponents: {
    ParameterIncludeEmpty: () => () => null,
    RequestBody: (Original, { React }) => (props) =>
      React.createElement(Original, { ...props, key: props.contentType }),
  },
  statePlugins: {
    oas3: {
      wrapActions: {
        setRequestContentType: (original, { oas3Actions }) => (change) => {
          const { pathMethod } = change;
          oas3Actions.setRetainRequestBodyValueFlag({ value: false, pathMethod });
          oas3Actions.setRequestBodyValue({ value: undefined, pathMethod });
          return original(change);
        },
      },
    },
  },
});

const ui = SwaggerUIBundle({
  url: "/_emulator/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [forms],
  onComplete: () => ui.preauthorizeApiKey("bearer", "sd_local"),
});
