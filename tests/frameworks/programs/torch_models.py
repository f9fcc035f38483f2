"""Inference with seeded weights, batch 1: resnet50 | alexnet | vgg19 | bert."""
import sys
import time

import torch
from report import median_ms, took, value


def build(name):
    if name == "bert":
        from transformers import BertConfig, BertModel

        model = BertModel(BertConfig()).eval().cuda()
        tokens = torch.randint(0, 30000, (1, 384)).cuda()
        return lambda: model(tokens).last_hidden_state
    import torchvision

    model = getattr(torchvision.models, name)().eval().cuda()
    image = torch.randn(1, 3, 224, 224).cuda()
    return lambda: model(image)


torch.manual_seed(0)
with torch.inference_mode():
    start = time.perf_counter()
    step = build(sys.argv[1])
    step()
    torch.cuda.synchronize()
    took("cold", (time.perf_counter() - start) * 1e3)
    took("steady", median_ms(step, torch.cuda.synchronize))
    value("sum", float(step().float().sum()))
