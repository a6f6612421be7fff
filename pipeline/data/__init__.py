"""Files, raw and prepared pictures, and predictions for them."""
