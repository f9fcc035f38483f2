"""ResNet-50 with weights and image from a seed: one inference per invocation, on a model that stays on the GPU.

Needs torch and torchvision: `executor.python` names an interpreter that has them. The payload is not used. As a
program: python3 resnet50_py.py.
"""
import json

import torch
import torchvision

torch.manual_seed(0)
with torch.inference_mode():
    model = torchvision.models.resnet50().eval().cuda()
    image = torch.randn(1, 3, 224, 224).cuda()


def resnet50_py(invocation):
    with torch.inference_mode():
        total = float(model(image).float().sum())
    return {"result": "ok", "sum": total, "device": torch.cuda.get_device_name(), "torch": torch.__version__}


if __name__ == "__main__":
    print(json.dumps(resnet50_py(None)))
