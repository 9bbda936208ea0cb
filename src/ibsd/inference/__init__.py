"""Running a finished network, whatever file it is in: torch, OpenVINO or ONNX Runtime."""
