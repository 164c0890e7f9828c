"""A peer of bench/serve.py: LitServe with timm, as a program: `serve_litserve.py PORT FILE.safetensors THREADS`.

Written as its documentation has it: batches of up to 8, for which a request waits at most 2 ms. THREADS are those of torch,
0 for its default.
"""

import sys
from typing import Any

import litserve
import torch
from PIL import Image
from safetensors.numpy import load_file
from timm_peer import import_timm

BATCH, WAIT = 8, 0.002


class Api(litserve.LitAPI):
    """Pictures to their five best classes."""

    def __init__(self, file: str, threads: int) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT)
        self.file, self.threads = file, threads

    def setup(self, device: str) -> None:
        if self.threads:
            torch.set_num_threads(self.threads)
        timm = import_timm()
        self.model = timm.create_model("lcnet_050").eval()
        weights = {k: torch.from_numpy(v.copy()) for k, v in load_file(self.file).items()}
        self.model.load_state_dict(weights, strict=False)
        self.transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=self.model))

    def decode_request(self, request: litserve.Request) -> Any:
        return self.transform(Image.open(request["request"].file).convert("RGB"))

    def batch(self, inputs: list[Any]) -> Any:
        return torch.stack(inputs)

    def predict(self, x: Any) -> Any:
        with torch.inference_mode():
            return self.model(x).softmax(-1)

    def unbatch(self, output: Any) -> Any:
        return list(output)

    def encode_response(self, output: Any) -> dict[str, Any]:
        best = output.topk(5)
        return {"classes": best.indices.tolist(), "probabilities": best.values.tolist()}


def main() -> None:
    """Serve."""
    port, file, threads = sys.argv[1:]
    server = litserve.LitServer(Api(file, int(threads)), accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(port), num_api_servers=1, generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
