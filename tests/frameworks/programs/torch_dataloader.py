"""A DataLoader with worker processes and pinned memory feeding the device."""
import torch
from report import value


class Squares(torch.utils.data.Dataset):
    def __len__(self):
        return 512

    def __getitem__(self, index):
        return torch.full((64, 64), float(index)), index


if __name__ == "__main__":
    loader = torch.utils.data.DataLoader(Squares(), batch_size=32, num_workers=4, pin_memory=True, persistent_workers=True)
    for epoch in range(2):
        total = torch.zeros((), dtype=torch.float64, device="cuda")
        pinned = True
        for images, indices in loader:
            pinned = pinned and images.is_pinned()
            total += (images.cuda(non_blocking=True).double().mean(dim=(1, 2)) * indices.cuda(non_blocking=True)).sum()
        value(f"epoch{epoch}", float(total), "pinned", pinned)
