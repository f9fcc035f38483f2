"""Mixed precision: autocast with a gradient scaler in fp16, and bf16."""
import torch
from report import value

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(256, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 10)).cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cuda")
x, labels = torch.randn(64, 256, device="cuda"), torch.randint(0, 10, (64,), device="cuda")
for dtype in (torch.float16, torch.bfloat16):
    for number in range(5):
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=dtype):
            loss = torch.nn.functional.cross_entropy(model(x), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        value(f"{dtype} loss{number}", float(loss))
