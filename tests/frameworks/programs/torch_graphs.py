"""torch.cuda.graphs: captured inference, a captured training step, make_graphed_callables."""
import torch
from report import median_ms, took, value

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 512)).cuda()
x = torch.randn(64, 512, device="cuda")
target = torch.randn(64, 512, device="cuda")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, capturable=True)

side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(model(x), target).backward()
        optimizer.step()
torch.cuda.current_stream().wait_stream(side)

training = torch.cuda.CUDAGraph()
optimizer.zero_grad(set_to_none=True)
with torch.cuda.graph(training):
    loss = torch.nn.functional.mse_loss(model(x), target)
    loss.backward()
    optimizer.step()
for number in range(5):
    training.replay()
    value(f"loss{number}", float(loss))

inference = torch.cuda.CUDAGraph()
with torch.no_grad(), torch.cuda.graph(inference):
    y = model(x)
inference.replay()
value("inference", float(y.double().sum()))
took("replay", median_ms(inference.replay, torch.cuda.synchronize))

graphed = torch.cuda.make_graphed_callables(torch.nn.Linear(512, 8).cuda(), (torch.randn(64, 512, device="cuda", requires_grad=True),))
out = graphed(x)
out.sum().backward()
value("graphed callable", float(out.double().sum()))
