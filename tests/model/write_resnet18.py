"""Writes a ResNet-18 with seeded random weights as ONNX: the graph that torchvision's exports to, without its weights.

    write_resnet18.py FILE [--f16] [--batch-normalization] [--classes 1000] [--seed 1] [--batch 0]

Input "input" (batch, 3, 224, 224), output "output" (batch, classes). Batch normalization is folded into the convolutions, as
torch.onnx.export does, unless it is asked for. Random weights are scaled so that activations neither grow nor vanish."""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Writer:
    def __init__(self, options):
        self.type = np.float16 if options.f16 else np.float32
        self.normalize = options.batch_normalization
        self.random = np.random.default_rng(options.seed)
        self.nodes, self.weights = [], []

    def weight(self, name, values):
        self.weights.append(numpy_helper.from_array(np.asarray(values).astype(self.type), name))
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(self, x, name, inputs, outputs, kernel, stride, gain=2.0):
        deviation = np.sqrt(gain / (inputs * kernel * kernel))
        shape = (outputs, inputs, kernel, kernel)
        given = [x, self.weight(name + ".weight", self.random.normal(0, deviation, shape))]
        if not self.normalize:
            given.append(self.weight(name + ".bias", self.random.normal(0, 0.1, outputs)))
        pad = kernel // 2
        y = self.node("Conv", given, name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, dilations=[1, 1], group=1)
        if not self.normalize:
            return y
        near = lambda middle, by: self.random.uniform(middle - by, middle + by, outputs)
        parts = [self.weight(f"{name}.{part}", values) for part, values in (
            ("scale", near(1, 0.2)), ("shift", near(0, 0.1)), ("mean", near(0, 0.1)), ("variance", near(1, 0.2)))]
        return self.node("BatchNormalization", [y, *parts], name + ".normalized", epsilon=1e-5)

    def block(self, x, name, inputs, outputs, stride):
        y = self.convolution(x, name + ".conv1", inputs, outputs, 3, stride)
        y = self.node("Relu", [y], name + ".relu1")
        y = self.convolution(y, name + ".conv2", outputs, outputs, 3, 1, gain=0.5)
        if stride != 1 or inputs != outputs:
            x = self.convolution(x, name + ".downsample", inputs, outputs, 1, stride, gain=1.0)
        return self.node("Relu", [self.node("Add", [y, x], name + ".add")], name + ".relu2")

    def network(self, classes):
        x = self.node("Relu", [self.convolution("input", "conv1", 3, 64, 7, 2)], "relu")
        x = self.node("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
        inputs = 64
        for layer, outputs in enumerate((64, 128, 256, 512), 1):
            for block in range(2):
                x = self.block(x, f"layer{layer}.{block}", inputs, outputs, 2 if block == 0 and layer > 1 else 1)
                inputs = outputs
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "avgpool")], "flatten", axis=1)
        weight = self.weight("fc.weight", self.random.normal(0, 1 / np.sqrt(inputs), (classes, inputs)))
        bias = self.weight("fc.bias", self.random.normal(0, 0.1, classes))
        self.node("Gemm", [x, weight, bias], "output", transB=1)


def resnet18(options):
    writer = Writer(options)
    writer.network(options.classes)
    element = TensorProto.FLOAT16 if options.f16 else TensorProto.FLOAT
    rows = options.batch or "batch"
    graph = helper.make_graph(
        writer.nodes, "resnet18",
        [helper.make_tensor_value_info("input", element, [rows, 3, 224, 224])],
        [helper.make_tensor_value_info("output", element, [rows, options.classes])],
        writer.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="write_resnet18")
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--f16", action="store_true", help="weights, input and output in f16")
    parser.add_argument("--batch-normalization", action="store_true", help="keep batch normalization as nodes of its own")
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=0, help="a fixed number of rows; 0: free")
    options = parser.parse_args()
    onnx.save(resnet18(options), options.file)


if __name__ == "__main__":
    main()
