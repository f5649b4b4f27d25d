"""Pictures of models: tables and plots."""
