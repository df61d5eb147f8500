"""ACKTR: the advantage actor-critic whose gradient is natural, by Kronecker factors, inside a trust region.

Returns and loss are those of `a2c`. For a linear layer with inputs a (a 1 appended for the bias) and gradients g of the
log-likelihood at its outputs, the Fisher matrix is taken as the Kronecker product of A = E[a a'] and G = E[g g'], running
means with decay 0.99. With A = Q_A D_A Q_A' and G = Q_G D_G Q_G' (`torch.linalg.eigh`, every 10 updates) the natural
gradient of the layer's weights W is

    v = Q_G [ (Q_G' grad Q_A) / (D_G D_A' + lambda) ] Q_A'.

The step is -eta nu v with momentum, nu = min(1, sqrt(delta / (eta^2 sum v . grad))): the step, if it were taken whole,
would change the policy by no more than a KL divergence of about delta. Likelihoods: the policy's of the actions played,
and a Gaussian's of unit variance around the critic's values.

Only linear layers are covered, so there is no GRU, as in the implementation that the thesis of docs/listeners.md took.

Source: Wu, Mansimov, Grosse, Liao, Ba, "Scalable trust-region method for deep reinforcement learning using
Kronecker-factored approximation" (2017); values as in Kostrikov's implementation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rltuner.errors import InputError
from rltuner.listeners.agents.a2c import A2C, A2CConfig
from rltuner.listeners.agents.state import part, under
from rltuner.listeners.environments.vector import Listeners

RATE, MOMENTUM = 0.25, 0.9
DECAY, DAMPING, TRUST = 0.99, 1e-2, 1e-3
EIGEN_EVERY = 10  # updates


class ACKTR(A2C):
    """See above. Raises InputError for a configuration with a GRU."""

    def __init__(
        self, listeners: Listeners, actions: int, config: A2CConfig | None = None, seed: int = 0
    ) -> None:
        config = config if config is not None else A2CConfig(recurrent=False)
        if config.recurrent:
            raise InputError(
                "acktr: recurrent = True: its Kronecker factors are of linear layers; use a2c, or no GRU"
            )
        super().__init__(listeners, actions, config, seed)
        self.layers = [module for module in self.network.modules() if isinstance(module, nn.Linear)]
        self.factors = KroneckerFactors(self.layers)

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.network.parameters(), RATE * (1 - MOMENTUM), momentum=MOMENTUM)

    def tensors(self) -> dict[str, Tensor]:
        """What a run saves; the factors too."""
        return {**super().tensors(), **under("factors.", self.factors.tensors())}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        super().restore(tensors)
        self.factors.restore(part(tensors, "factors."))

    def _learn(
        self, observed: Tensor, starts: Tensor, actions: Tensor, returns: Tensor, before: Tensor
    ) -> None:
        with self.factors.watching():
            logits, values, _ = self.network(observed.clone(), before, starts.clone())
            log_policy = logits.log_softmax(dim=2)
            log_chosen = log_policy.gather(2, actions.clone()[..., None])[..., 0]
            sampled = values.detach() + torch.randn(values.shape, generator=self.generator)
            likelihood = log_chosen.mean() - 0.5 * (values - sampled).square().mean()
            self.factors.measuring = True
            self.network.zero_grad()
            likelihood.backward(retain_graph=True)
            self.factors.measuring = False
        self.factors.update()
        advantage = returns - values
        entropy = -(log_policy.exp() * log_policy).sum(dim=2).mean()
        actor, critic = -(advantage.detach() * log_chosen).mean(), advantage.square().mean()
        self.network.zero_grad()
        (actor + self.config.value_loss * critic - self.config.entropy * entropy).backward()
        self.factors.precondition()
        self.optimizer.step()


class KroneckerFactors:
    """The factors A and G of linear layers, and gradients made natural by them."""

    def __init__(self, layers: list[nn.Linear]) -> None:
        self.layers = layers
        self.measuring = False
        self.updates = 0
        self.inputs = [torch.zeros(layer.in_features + 1, layer.in_features + 1) for layer in layers]
        self.outputs = [torch.zeros(layer.out_features, layer.out_features) for layer in layers]
        self.eigen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._seen: list[tuple[Tensor, Tensor]] = []

    def watching(self) -> _Watching:
        """While inside, what goes into the layers and, where `measuring`, the gradients that come out, are noted."""
        return _Watching(self)

    def update(self) -> None:
        """Adds what was noted to the running means; every 10th time, and the first, their eigenvectors are taken anew."""
        decay = DECAY if self.updates else 0.0
        for number, (inputs, gradients) in enumerate(self._seen):
            a = nn.functional.pad(inputs.reshape(-1, inputs.shape[-1]), (0, 1), value=1.0)  # (M, I + 1)
            g = gradients.reshape(-1, gradients.shape[-1]) * len(
                a
            )  # of each sample, where the likelihood was a mean
            self.inputs[number] = decay * self.inputs[number] + (1 - decay) * a.T @ a / len(a)
            self.outputs[number] = decay * self.outputs[number] + (1 - decay) * g.T @ g / len(a)
        if self.updates % EIGEN_EVERY == 0:
            self.eigen = [(*_eigen(a), *_eigen(g)) for a, g in zip(self.inputs, self.outputs, strict=True)]
        self.updates += 1

    def precondition(self) -> None:
        """Replaces the layers' gradients by natural ones, scaled down to the trust region."""
        natural, change = [], 0.0
        for layer, (d_a, q_a, d_g, q_g) in zip(self.layers, self.eigen, strict=True):
            assert layer.weight.grad is not None
            assert layer.bias.grad is not None
            gradient = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1)
            scaled = (q_g.T @ gradient @ q_a) / (d_g.clamp(min=0)[:, None] * d_a.clamp(min=0) + DAMPING)
            v = q_g @ scaled @ q_a.T
            natural.append(v)
            change += float((v * gradient).sum()) * RATE**2
        nu = min(1.0, (TRUST / change) ** 0.5) if change > 0 else 1.0
        for layer, v in zip(self.layers, natural, strict=True):
            layer.weight.grad, layer.bias.grad = nu * v[:, :-1].contiguous(), nu * v[:, -1].contiguous()

    def tensors(self) -> dict[str, Tensor]:
        """What a run saves of the factors."""
        state = {"updates": torch.tensor(self.updates)}
        for number, parts in enumerate(zip(self.inputs, self.outputs, strict=True)):
            state |= {f"{name}.{number}": part for name, part in zip("ag", parts, strict=True)}
        for number, found in enumerate(self.eigen):
            state |= {
                f"{name}.{number}": part for name, part in zip(("da", "qa", "dg", "qg"), found, strict=True)
            }
        return state

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `tensors` gave."""
        self.updates = int(tensors["updates"])
        numbers = range(len(self.layers))
        self.inputs = [tensors[f"a.{n}"] for n in numbers]
        self.outputs = [tensors[f"g.{n}"] for n in numbers]
        if self.updates:
            self.eigen = [
                (tensors[f"da.{n}"], tensors[f"qa.{n}"], tensors[f"dg.{n}"], tensors[f"qg.{n}"])
                for n in numbers
            ]


def _eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors; contiguous, as they are when a run goes on, for products round by the layout."""
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors.contiguous()


class _Watching:
    """Hooks on the layers of some factors, removed at the end."""

    def __init__(self, factors: KroneckerFactors) -> None:
        self.factors = factors

    def __enter__(self) -> None:
        factors = self.factors
        inputs: dict[int, Tensor] = {}
        factors._seen = [(torch.empty(0), torch.empty(0))] * len(factors.layers)
        self.handles: list[Any] = []

        def hook(number: int) -> Any:
            def forward(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
                inputs[number] = given[0].detach()

                def backward(gradient: Tensor) -> None:
                    if factors.measuring:
                        factors._seen[number] = (inputs[number], gradient.detach())

                output.register_hook(backward)

            return forward

        for number, layer in enumerate(factors.layers):
            self.handles.append(layer.register_forward_hook(hook(number)))

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()
