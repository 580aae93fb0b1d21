"""ResNet-18 on a CUDA device: sluice::model beside the best of PyTorch's captured graphs, NCHW and channels_last, in TF32 and f16.

    model_torch.py CUDA_MODEL MODELS [--rows 1,64] [--variants "" "prefer_nhwc=1"] [--arguments "--warm"]

CUDA_MODEL is bench/cuda_model's program. Each variant is a value of SLUICE_MODEL_CUDA, the options of ONNX Runtime's CUDA provider
that differ from sluice's own. Medians of single calls: `device`, from an input on the device to a result there; `host`, from
pinned memory to a result in the host's. PyTorch's batch normalization is folded into its convolutions, as in the files."""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import time

import torch
import torch.fx.experimental.optimization
import torchvision


def ours(options, variant):
    """The program's lines, of a variant."""
    folders = [f for place in sys.path for f in glob.glob(os.path.join(place, "nvidia", "*", "lib"))]
    environment = {**os.environ, "SLUICE_MODEL_CUDA": variant,
                   "LD_LIBRARY_PATH": ":".join([*folders, os.environ.get("LD_LIBRARY_PATH", "")]).strip(":")}
    command = [options.program, options.models, "--rows", options.rows, *options.arguments.split()]
    lines = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as program:
        for text in program.stdout:
            lines.append(json.loads(text))
            print(json.dumps({"variant": variant, **lines[-1]}), flush=True)
    if program.returncode:
        print(f"{options.program} ended with {program.returncode} of variant \"{variant}\"", flush=True)
    return lines


def median(call, rounds=200):
    times = []
    for i in range(rounds + 20):
        start = time.perf_counter()
        call()
        if i >= 20:
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def captured(model, x):
    """A graph of model(x), and its result."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            model(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = model(x)
    return graph, y


def torch_times(kind, layout, rows):
    """Of a call on the device, one from the host, and the graph alone, in microseconds."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = kind != "strict"
    torch.backends.cudnn.benchmark = True
    dtype = torch.float16 if kind == "f16" else torch.float32
    torch.manual_seed(1)
    model = torch.fx.experimental.optimization.fuse(torchvision.models.resnet18(weights=None).eval())
    model = model.to("cuda", dtype).to(memory_format=layout)
    host = torch.randn(rows, 3, 224, 224, dtype=dtype).pin_memory()
    there = host.cuda()  # NCHW, as callers have it
    x = there.clone().to(memory_format=layout)
    graph, y = captured(model, x)
    result = torch.empty(y.shape, dtype=dtype).pin_memory()

    def on_device():
        x.copy_(there)
        graph.replay()
        torch.cuda.synchronize()

    def from_host():
        x.copy_(host, non_blocking=True)
        graph.replay()
        result.copy_(y, non_blocking=True)
        torch.cuda.synchronize()

    def alone():
        graph.replay()
        torch.cuda.synchronize()

    return median(on_device), median(from_host), median(alone)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("models")
    parser.add_argument("--rows", default="1,64")
    parser.add_argument("--variants", nargs="*", default=[""])
    parser.add_argument("--arguments", default="")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}", flush=True)
    of_us = {variant: ours(options, variant) for variant in options.variants}
    torch.set_grad_enabled(False)
    rows = [f"{'kind':8} {'rows':>4} {'from':>6} {'sluice us':>10} {'torch us':>10} {'sluice/torch':>12}  variant; layout"]
    for kind in ("strict", "tf32", "f16"):
        for count in map(int, options.rows.split(",")):
            layouts = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
            theirs = {name: torch_times(kind, layout, count) for name, layout in layouts.items()}
            print(json.dumps({"kind": kind, "rows": count, "torch_us": {n: [round(t, 1) for t in ts] for n, ts in theirs.items()}}), flush=True)
            for i, (place, key) in enumerate((("device", "device_us"), ("host", "pinned_us"))):
                times = [(line[key], variant) for variant, lines in of_us.items() for line in lines
                         if (line.get("kind"), line.get("rows")) == (kind, count)]
                if not times:
                    continue
                best = min(times)
                name = min(theirs, key=lambda n: theirs[n][i])
                rows.append(f"{kind:8} {count:4} {place:>6} {best[0]:10.1f} {theirs[name][i]:10.1f} {best[0] / theirs[name][i]:12.3f}"
                            f"  \"{best[1]}\"; {name}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
