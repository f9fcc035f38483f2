"""ResNet-18, ten steps of SGD on seeded random data; the losses."""
import torch
import torchvision
from report import median_ms, took, value

torch.manual_seed(0)
torch.backends.cudnn.deterministic = True
torch.use_deterministic_algorithms(True, warn_only=True)
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


for number in range(10):
    value(f"loss{number}", float(step()))
took("step", median_ms(step, torch.cuda.synchronize))
