"""Export Keras models as bundles: ONNX graphs, int8, agreement checks."""
