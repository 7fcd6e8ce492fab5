"""Where formulas come from: operators add up to layers, layers to stages, stages to a request; each sum is proved."""
