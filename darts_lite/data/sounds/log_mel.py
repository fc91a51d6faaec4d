"""Log-mel maps of samples: a module of the net, so that files take samples as they are."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LogMel(nn.Module):
    """Turns samples into the logarithms of their power in bands of the mel scale.

    The sound is cut into as many frames as there are bands, each two hops long under a Hann
    window. Bands are triangles, equally wide in mel = 2595 log10(1 + f / 700), from 0 to half of
    the rate; the highest is the first row, so that maps look as spectrograms do.

    Args:
        rate: Samples per second.
        samples: Samples of a sound, a multiple of ``size``.
        size: Number of bands and of frames.
    """

    taper: Tensor
    bands: Tensor

    def __init__(self, rate: int, samples: int, size: int) -> None:
        super().__init__()
        self.hop = samples // size
        taper = torch.hann_window(2 * self.hop)
        self.register_buffer("taper", taper / taper.square().sum().sqrt(), persistent=False)
        highest = 2595 * torch.log10(torch.tensor(1 + rate / 2 / 700))
        edges = 700 * (10 ** (torch.linspace(0, 1, size + 2) * highest / 2595) - 1)  # in Hz
        # Each band needs a frequency of the transform, so low ones ask for a longer transform.
        self.length = 2 ** (2 * self.hop - 1).bit_length()
        while rate / self.length > float(edges[2] - edges[1]):
            self.length *= 2
        places = torch.arange(self.length // 2 + 1) * rate / self.length  # in Hz, (frequencies,)
        rising = (places[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - places[:, None]) / (edges[2:] - edges[1:-1])
        bands = torch.minimum(rising, falling).clamp_min(0).flip(1)  # (frequencies, size)
        self.register_buffer("bands", bands, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Computes maps ``(B, 1, size, size)``, bands by frames, of samples ``(B, samples)``."""
        hop = self.hop
        padded = F.pad(samples, (hop // 2, hop - hop // 2))
        hops = padded.unflatten(1, (-1, hop))  # (B, size + 1, hop)
        frames = torch.cat([hops[:, :-1], hops[:, 1:]], dim=2) * self.taper  # (B, size, 2 * hop)
        waves = torch.view_as_real(torch.fft.rfft(frames, n=self.length))
        power = waves.square().sum(dim=-1)  # (B, size, frequencies)
        # Silence is some 80 dB below what a full sine gives, so that noise of recorders stays dark.
        heard = (power @ self.bands + 1e-6).log()  # (B, size, size), frames by bands
        return heard.transpose(1, 2).unsqueeze(1)
