"""How a run can be watched: metrics for Prometheus, traces for OpenTelemetry, logs as JSON."""
