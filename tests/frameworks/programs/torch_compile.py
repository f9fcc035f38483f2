"""torch.compile (Inductor, Triton) of a small network, forward and backward."""
import time

import torch
from report import median_ms, took, value

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.GELU(), torch.nn.LayerNorm(512), torch.nn.Linear(512, 64)).cuda()
compiled = torch.compile(model)
x = torch.randn(128, 256, device="cuda")
start = time.perf_counter()
loss = compiled(x).square().mean()
loss.backward()
torch.cuda.synchronize()
took("cold", (time.perf_counter() - start) * 1e3)
value("loss", float(loss))
value("gradient", *(float(p.grad.double().sum()) for p in model.parameters()))
value("close to eager", bool(torch.allclose(compiled(x), model(x), atol=1e-4)))
with torch.inference_mode():
    took("steady", median_ms(lambda: compiled(x), torch.cuda.synchronize))
