"""Writes the small models that the tests load, good and bad ones. Usage: write_models.py FOLDER"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FOLDER = sys.argv[1]
RANDOM = np.random.default_rng(7)
DTYPES = {"f64": TensorProto.DOUBLE, "f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16,
          "i64": TensorProto.INT64, "i32": TensorProto.INT32, "u8": TensorProto.UINT8}
FLOAT = TensorProto.FLOAT


def value(name, extents, element=FLOAT):
    return helper.make_tensor_value_info(name, element, extents)


def model(nodes, inputs, outputs, weights=(), opset=17, **more):
    graph = helper.make_graph(nodes, "test", inputs, outputs, list(weights), **more)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def save(name, what):
    path = os.path.join(FOLDER, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(what.SerializeToString())


def array(name, *extents):
    return numpy_helper.from_array(RANDOM.normal(size=extents).astype(np.float32), name)


def external(name, location, *extents, **numbers):
    """A tensor of f32 whose data is in the file `location`."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=extents, data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **numbers}.items():
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def mlp(rows="batch", out_rows=None, weights=None):
    weights = weights or [array("w1", 4, 8), array("b1", 8), array("w2", 8, 3), array("b2", 3)]
    nodes = [helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
             helper.make_node("Gemm", ["r", "w2", "b2"], ["y"])]
    return model(nodes, [value("x", [rows, 4])], [value("y", [out_rows or rows, 3])], weights)


def good():
    save("mlp.onnx", mlp())
    save("fixed.onnx", mlp(rows=2))
    save("unnamed.onnx", mlp(rows=None))
    save("renamed.onnx", mlp(rows="n", out_rows="m"))
    save("two.onnx", model(
        [helper.make_node("Cast", ["b"], ["c"], to=FLOAT), helper.make_node("Add", ["a", "c"], ["sum"]),
         helper.make_node("Mul", ["b", "b"], ["square"])],
        [value("a", ["batch", 3]), value("b", ["batch", 3], TensorProto.INT64)],
        [value("sum", ["batch", 3]), value("square", ["batch", 3], TensorProto.INT64)]))
    save("strangers.onnx", model([helper.make_node("Concat", ["a", "b"], ["y"], axis=0)],
                                 [value("a", ["n", 3]), value("b", ["m", 3])], [value("y", ["k", 3])]))
    save("flat.onnx", model([helper.make_node("Reshape", ["x", "to"], ["y"])], [value("x", ["batch", 4])], [value("y", ["all"])],
                            [numpy_helper.from_array(np.array([-1], np.int64), "to")]))
    save("scalar.onnx", model([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], [value("x", [2, 2])], [value("y", [])]))
    save("shapeless.onnx", model([helper.make_node("NonZero", ["x"], ["y"])], [value("x", ["n", 3])],
                                 [helper.make_value_info("y", helper.make_tensor_type_proto(TensorProto.INT64, None))]))
    save("gather.onnx", model([helper.make_node("Gather", ["table", "i"], ["y"])], [value("i", ["batch"], TensorProto.INT64)],
                              [value("y", ["batch", 2])], [array("table", 5, 2)]))
    for name, element in DTYPES.items():
        save(f"dtype/{name}.onnx", model([helper.make_node("Identity", ["x"], ["y"])], [value("x", ["batch", 2], element)],
                                         [value("y", ["batch", 2], element)]))


def bad():
    nothing = [helper.make_node("Identity", ["x"], ["y"])]
    save("bad/string.onnx", model(nothing, [value("x", ["n"], TensorProto.STRING)], [value("y", ["n"], TensorProto.STRING)]))
    save("bad/bool.onnx", model(nothing, [value("x", ["n"], TensorProto.BOOL)], [value("y", ["n"], TensorProto.BOOL)]))
    sequence = helper.make_value_info("y", helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["n"])))
    save("bad/sequence.onnx", model([helper.make_node("SequenceConstruct", ["x"], ["y"])], [value("x", ["n"])], [sequence]))
    save("bad/shapeless.onnx", model(nothing, [helper.make_value_info("x", helper.make_tensor_type_proto(FLOAT, None))],
                                     [value("y", ["n"])]))
    save("bad/rank.onnx", model(nothing, [value("x", [1] * 9)], [value("y", [1] * 9)]))
    save("bad/op.onnx", model([helper.make_node("NoSuchOp", ["x"], ["y"])], [value("x", ["n"])], [value("y", ["n"])]))
    save("bad/domain.onnx", model([helper.make_node("Identity", ["x"], ["y"], domain="no.such")], [value("x", ["n"])], [value("y", ["n"])]))
    save("bad/opset.onnx", model(nothing, [value("x", ["n"])], [value("y", ["n"])], opset=1000))
    newer = mlp()
    newer.ir_version = 1000
    save("bad/version.onnx", newer)
    circle = model([helper.make_node("Add", ["x", "z"], ["y"]), helper.make_node("Relu", ["y"], ["z"])], [value("x", ["n"])], [value("z", ["n"])])
    save("bad/circle.onnx", circle)
    short = mlp(weights=[array("w1", 4, 8), array("b1", 8), array("w2", 9, 3), array("b2", 3)])
    save("bad/shapes.onnx", short)
    # Rows that are no cases of their own: a transposed matrix, and the mean of all rows subtracted.
    save("bad/transposed.onnx", model([helper.make_node("Transpose", ["x"], ["y"])], [value("x", ["n", "m"])], [value("y", ["m", "n"])]))
    save("bad/mixing.onnx", model([helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0]), helper.make_node("Sub", ["x", "mean"], ["y"])],
                                  [value("x", ["n", 3])], [value("y", ["n", 3])]))
    for name, columns in (("wide", 1 << 20), ("too_wide", 1 << 28)):
        save(f"bad/{name}.onnx", model([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["n", columns])], [value("y", ["n", columns])]))
    save("bad/free.onnx", model([helper.make_node("Relu", ["x"], ["y"])], [value("x", ["n", "m"])], [value("y", ["n", "m"])]))
    # Gives one column, and says three.
    save("bad/output.onnx", model([helper.make_node("Compress", ["x", "which"], ["y"], axis=1)], [value("x", ["batch", 3])],
                                  [value("y", ["m", 3])], [numpy_helper.from_array(np.array([True, False, False]), "which")]))


def external_data():
    """In folders of their own, so that what is outside them is there to be read."""
    w1 = RANDOM.normal(size=(4, 8)).astype(np.float32)
    others = [array("b1", 8), array("w2", 8, 3), array("b2", 3)]

    def with_data(name, location, **numbers):
        numbers = {"length": w1.nbytes, **numbers}
        save(f"external/{name}.onnx", mlp(weights=[external("w1", location, 4, 8, **numbers), *others]))

    folder = os.path.join(FOLDER, "external")
    os.makedirs(os.path.join(folder, "below"), exist_ok=True)
    for path in ("external/data.bin", "external/below/data.bin", "outside.bin"):
        with open(os.path.join(FOLDER, path), "wb") as file:
            file.write(w1.tobytes())
    for name, target in (("link.bin", "../outside.bin"), ("link_within.bin", "below/data.bin"), ("folder", "..")):
        if not os.path.islink(os.path.join(folder, name)):
            os.symlink(target, os.path.join(folder, name))
    save("external/inside.onnx", mlp(weights=[numpy_helper.from_array(w1, "w1"), *others]))  # what the good ones equal
    with_data("good", "data.bin")
    with_data("good_below", "below/data.bin", offset=0)
    with_data("good_link", "link_within.bin")
    with_data("parent", "../outside.bin")
    # Fields that the format does not have, or has as another type, hide nothing: readers pass over them.
    hiding = mlp(weights=[external("w1", "../outside.bin##", 4, 8, length=w1.nbytes), *others]).SerializeToString()
    for name, field in (("another_field", b"\x1a\x00"), ("another_type", b"\x10\x01")):
        with open(os.path.join(folder, name + ".onnx"), "wb") as file:
            file.write(hiding.replace(b"\x12\x10../outside.bin##", b"\x12\x0e../outside.bin" + field))
    with_data("parent_within", "below/../data.bin")
    with_data("absolute", os.path.join(os.path.abspath(FOLDER), "outside.bin"))
    with_data("link", "link.bin")
    with_data("link_folder", "folder/outside.bin")
    with_data("missing", "none.bin")
    with_data("memory", "*/_ORT_MEM_ADDR_/*", offset=4096)
    with_data("folder_itself", "below")
    with_data("short", "data.bin", offset=4)
    with_data("no_number", "data.bin", offset="0x10")

    out = external("w", "../outside.bin", 4)
    x, y = value("x", ["n", 4]), value("y", ["n", 4])
    constant = helper.make_node("Constant", [], ["c"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(out)
    add = helper.make_node("Add", ["x", "c"], ["y"])
    save("external/in_constant.onnx", model([constant, add], [x], [y]))
    branch = helper.make_graph([helper.make_node("Identity", ["w"], ["o"])], "branch", [], [value("o", [4])], [out])
    condition = numpy_helper.from_array(np.array(True), "condition")
    choice = helper.make_node("If", ["condition"], ["c"], then_branch=branch, else_branch=branch)
    save("external/in_subgraph.onnx", model([choice, add], [x], [y], [condition]))
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(out)
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([0], np.int64), "at"))
    save("external/in_sparse.onnx", model([helper.make_node("Add", ["x", "w"], ["y"])], [x], [y], sparse_initializer=[sparse]))
    function = helper.make_function("own", "Plus", ["a"], ["b"], [constant, helper.make_node("Add", ["a", "c"], ["b"])],
                                    [helper.make_opsetid("", 17)])
    called = model([helper.make_node("Plus", ["x"], ["y"], domain="own")], [x], [y])
    called.functions.append(function)
    called.opset_import.append(helper.make_opsetid("own", 1))
    save("external/in_function.onnx", called)


good()
bad()
external_data()
