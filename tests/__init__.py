# The one limit of all that tests wait for: only what never comes takes so long, however busy the
# machine is.
PATIENCE_SECONDS = 600.0
