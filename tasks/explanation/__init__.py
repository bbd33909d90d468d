"""Why the model said so: SHAP and LIME attributions."""
