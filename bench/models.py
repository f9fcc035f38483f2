#!/usr/bin/env python3
"""One side of the group `models` of bench/compare.py: PyTorch models with seeded weights, nothing downloaded.

Prints one JSON object when all are on the GPU, {"answers": {NAME: TEXT}, "skipped": {NAME: WHY}}; then for each line "COUNT
NAME" of standard input {"median", "p99", "samples"}, milliseconds per step of COUNT steps, each waited for. Answers are sums
of outputs, and losses, as hexadecimal: equal text means equal bits.
"""
import contextlib
import json
import sys
import time

import torch

IMAGE_MODELS = {"ResNet-50": "resnet50", "AlexNet": "alexnet", "VGG-19": "vgg19"}


def image_model(name):
    import torchvision
    model = getattr(torchvision.models, IMAGE_MODELS[name])().eval().cuda()
    image = torch.randn(1, 3, 224, 224).cuda()
    return lambda: model(image)


def bert():
    from transformers import BertConfig, BertModel
    model = BertModel(BertConfig()).eval().cuda()
    tokens = torch.randint(0, 30000, (1, 384)).cuda()
    return lambda: model(tokens).last_hidden_state


def resnet18_training():
    import torchvision
    model = torchvision.models.resnet18().cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(16, 3, 224, 224).cuda()
    labels = torch.randint(0, 1000, (16,)).cuda()

    def step():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


@contextlib.contextmanager
def mode(training):
    """Training is deterministic, so that losses can be compared; inference is what it is by default."""
    torch.backends.cudnn.deterministic = training
    torch.use_deterministic_algorithms(training, warn_only=True)
    with torch.enable_grad() if training else torch.inference_mode():
        yield


class Model:
    """A step that can be repeated, and what its first runs answer."""

    def __init__(self, build, training):
        self._training = training
        torch.manual_seed(0)
        with mode(training):
            self._step = build()
            outputs = [self._step() for _ in range(5 if training else 1)]
        self.answer = " ".join(float(output.detach().float().sum()).hex() for output in outputs)

    def measure(self, count):
        times = []
        with mode(self._training):
            for number in range(-5, count):
                start = time.perf_counter()
                self._step()
                torch.cuda.synchronize()
                if number >= 0:
                    times.append((time.perf_counter() - start) * 1e3)
        times.sort()
        return {"median": times[count // 2], "p99": times[(count * 99 - 1) // 100], "samples": count}


def main():
    builders = {**{f"{name}, inference": lambda name=name: image_model(name) for name in IMAGE_MODELS},
                "BERT-base, inference": bert, "ResNet-18, training step": resnet18_training}
    models, skipped = {}, {}
    for name, build in builders.items():
        try:
            models[name] = Model(build, name.endswith("training step"))
        except ModuleNotFoundError as error:
            skipped[name] = str(error)
    torch.cuda.synchronize()
    print(json.dumps({"answers": {name: model.answer for name, model in models.items()}, "skipped": skipped}), flush=True)
    for line in sys.stdin:
        count, name = line.strip().split(" ", 1)
        print(json.dumps(models[name].measure(int(count))), flush=True)


if __name__ == "__main__":
    main()
