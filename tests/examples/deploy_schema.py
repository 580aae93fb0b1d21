#!/usr/bin/env python3
"""The YAML of examples/server/deploy against Kubernetes' own schemas (kubernetes-validate from PyPI) and KServe's models (kserve from
PyPI, read and not imported: its dependencies are many). Usage: deploy_schema.py DEPLOY-FOLDER VENV; ends with 77 where PyPI
cannot be reached."""
import ast
import glob
import os
import subprocess
import sys

DEPLOY, VENV = (os.path.abspath(p) for p in sys.argv[1:])
PYTHON = os.path.join(VENV, "bin", "python")
if os.path.realpath(sys.prefix) != os.path.realpath(VENV):
    if not os.path.exists(os.path.join(VENV, "ready")):
        def tried(*command):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                print("deploy_schema: skipped:", done.stdout.strip().splitlines()[-1])
                sys.exit(77)
        tried(sys.executable, "-m", "venv", VENV)
        tried(PYTHON, "-m", "pip", "-q", "install", "kubernetes-validate>=1.31", "pyyaml>=6")
        tried(PYTHON, "-m", "pip", "-q", "install", "--no-deps", "kserve>=0.15,<1")
        open(os.path.join(VENV, "ready"), "w").close()
    os.execv(PYTHON, [PYTHON, *sys.argv])

import kubernetes_validate
import yaml

MODELS = glob.glob(os.path.join(VENV, "lib*", "python*", "site-packages", "kserve", "models"))[0]


def tables():
    """{class: {JSON key: type}} of KServe's models."""
    found = {}
    for path in glob.glob(os.path.join(MODELS, "v1*.py")):
        with open(path) as f:
            for node in ast.parse(f.read()).body:
                if not isinstance(node, ast.ClassDef):
                    continue
                made = {t.targets[0].id: ast.literal_eval(t.value) for t in node.body
                        if isinstance(t, ast.Assign) and t.targets[0].id in ("openapi_types", "attribute_map")}
                keys = made["attribute_map"]
                found[node.name] = {keys[name]: kind for name, kind in made["openapi_types"].items()}
    return found


KSERVE = tables()
ROOTS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}
PLAIN = {"str": str, "bool": bool, "int": int}


def check(value, kind, where):
    """A value against a type of KServe's; what is Kubernetes' own is left to kubernetes()."""
    if kind.startswith("list["):
        assert isinstance(value, list), f"{where} is no list"
        for i, one in enumerate(value):
            check(one, kind[5:-1], f"{where}[{i}]")
    elif kind in KSERVE:
        assert isinstance(value, dict), f"{where} is no {kind}"
        for key, one in value.items():
            assert key in KSERVE[kind], f"{where}.{key} is not known; {kind} has {sorted(KSERVE[kind])}"
            check(one, KSERVE[kind][key], f"{where}.{key}")
    elif kind in PLAIN:
        assert isinstance(value, PLAIN[kind]), f"{where} is {value!r}, and should be of type {kind}"


def kubernetes(value):
    for version in ("1.31.0", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(value, version, strict=True)


def merged(base, patch):
    """As a strategic merge patch does: maps are merged, and containers by their names; other lists are replaced."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {**base, **{k: merged(base.get(k), v) for k, v in patch.items()}}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in one for one in base + patch):
        named = {one["name"]: one for one in base}
        for one in patch:
            named[one["name"]] = merged(named.get(one["name"]), one)
        return list(named.values())
    return patch


def documents(name):
    with open(os.path.join(DEPLOY, name)) as f:
        return [d for d in yaml.safe_load_all(f) if d is not None]


checked = 0
for name in ("kubernetes.yaml", "kserve.yaml"):
    for document in documents(name):
        where = f"{name}: {document['kind']}"
        if document["kind"] not in ROOTS:
            kubernetes(document)
        else:
            check(document, ROOTS[document["kind"]], where)
            spec = document["spec"]
            if document["kind"] == "ServingRuntime":
                # Its containers and volumes are a pod's.
                pod = {key: spec[key] for key in ("containers", "volumes")}
                kubernetes({"apiVersion": "v1", "kind": "Pod", "metadata": document["metadata"], "spec": pod})
        print("valid:", where)
        checked += 1
deployment = documents("kubernetes.yaml")[0]
(patch,) = documents("kubernetes-cuda.yaml")
with_gpu = merged(deployment, patch)
kubernetes(with_gpu)
(container,) = with_gpu["spec"]["template"]["spec"]["containers"]
assert container["resources"]["limits"]["nvidia.com/gpu"] == "1" and container["readinessProbe"], container
print("valid: kubernetes.yaml with kubernetes-cuda.yaml")
(rules,) = documents("prometheus-adapter.yaml")
assert set(rules["rules"]["custom"][0]) == {"seriesQuery", "resources", "metricsQuery"}, rules
assert checked == 9, checked
