"""BERT-base with weights and 384 tokens from a seed: one inference per invocation, on a model that stays on the GPU.

Needs torch and transformers: `executor.python` names an interpreter that has them. The payload is not used. As a
program: python3 bert_py.py.
"""
import json

import torch
from transformers import BertConfig, BertModel

torch.manual_seed(0)
with torch.inference_mode():
    model = BertModel(BertConfig()).eval().cuda()
    tokens = torch.randint(0, 30000, (1, 384)).cuda()


def bert_py(invocation):
    with torch.inference_mode():
        total = float(model(tokens).last_hidden_state.float().sum())
    return {"result": "ok", "sum": total, "device": torch.cuda.get_device_name(), "torch": torch.__version__}


if __name__ == "__main__":
    print(json.dumps(bert_py(None)))
