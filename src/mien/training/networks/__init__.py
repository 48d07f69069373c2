"""Build networks: own architectures, backbones, pretrained weights, models made elsewhere."""
