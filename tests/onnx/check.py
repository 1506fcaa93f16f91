# Every .onnx file of a folder, by onnx.checker and by shape inference.
import glob
import sys

import onnx

files = sorted(glob.glob(sys.argv[1] + "/*.onnx"))
assert files
for file in files:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 13 and not model.opset_import[0].domain
print(len(files), "files checked")
