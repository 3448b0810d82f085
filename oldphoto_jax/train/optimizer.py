"""How a player moves: an optax optimizer, its schedule, and when its norms freeze."""

import dataclasses

import optax


@dataclasses.dataclass(kw_only=True)
class Optimizer:
    """What all optimizers share. Rates are per step; step counts are steps of the run.

    Parts are named by the path within the player's network ("encoder.late"); of a player that moves
    several (`Task.players`) the path begins with the network's name.

    Raises ValueError on settings that contradict each other.
    """

    rate: float = 1e-4
    warmup: int = 0  # steps from 0 up to `rate`
    schedule: str = "constant"  # or "linear", "cosine"
    final: float = 0.0  # share of `rate` at which a linear or cosine fall ends
    hold: int = 0  # steps before the linear or cosine fall begins
    drops: dict[int, float] = dataclasses.field(default_factory=dict)  # step -> factor from there
    clip: float = 0.0  # largest global gradient norm; 0 = no limit
    every: int = 1  # the player moves at every n-th step
    ema: float = 0.0  # decay of the averaged weights; 0 = none kept
    freeze_norm_from: int = -1  # step from which batch norm uses running statistics; -1 = never
    freeze_norm_in: str = ""  # only in modules whose path begins so, such as "encoder"
    freeze_weights_in: str = ""  # the part, such as "encoder", whose weights never move
    # Part -> share of `rate`; those of a part and of one inside it ("encoder", "encoder.late")
    # multiply
    shares: dict[str, float] = dataclasses.field(default_factory=dict)

    def check(self, player: str) -> None:
        """Raises ValueError naming the player and the setting that makes no sense."""
        checks = {
            "rate must be positive": self.rate > 0,
            "every must be 1 or more": self.every >= 1,
            "ema must be in 0..1, below 1": 0 <= self.ema < 1,
            "final must be in 0..1": 0 <= self.final <= 1,
            "clip must not be negative": self.clip >= 0,
            "warmup and hold must not be negative": min(self.warmup, self.hold) >= 0,
            "drops must be positive factors": min(self.drops.values(), default=1) > 0,
            "shares must be positive": min(self.shares.values(), default=1) > 0,
            "shares must name a part; the share of all is `rate`": all(self.shares),
            "freeze_norm_from must be a step, or -1 for never": self.freeze_norm_from >= -1,
            "freeze_norm_in needs freeze_norm_from": (
                not self.freeze_norm_in or self.freeze_norm_from >= 0
            ),
            "schedule must be constant, linear or cosine": (
                self.schedule in ("constant", "linear", "cosine")
            ),
        }
        for message, fine in checks.items():
            if not fine:
                raise ValueError(f"optimizers[{player!r}]: {message}; it is {self}")

    def rates(self, steps: int) -> optax.Schedule:
        """The learning rate as a function of the step, for a run of that many steps."""
        begin = self.warmup + self.hold
        length = max(steps - begin, 1)
        fall = {
            "constant": optax.constant_schedule(self.rate),
            "linear": optax.linear_schedule(self.rate, self.final * self.rate, length),
            "cosine": optax.cosine_decay_schedule(self.rate, length, self.final),
        }[self.schedule]
        parts, starts = [fall], []
        if self.hold:
            parts, starts = [optax.constant_schedule(self.rate), *parts], [begin]
        if self.warmup:
            rise = optax.linear_schedule(self.rate / self.warmup, self.rate, self.warmup - 1 or 1)
            parts, starts = [rise, *parts], [self.warmup, *starts]
        smooth = optax.join_schedules(parts, starts)
        steps_down = optax.piecewise_constant_schedule(
            1.0, {int(step): factor for step, factor in self.drops.items()}
        )
        return lambda step: smooth(step) * steps_down(step)

    def rule(self) -> optax.GradientTransformation:
        """The update rule without rate or clipping; each subclass has its own."""
        raise NotImplementedError

    def transform(self, steps: int) -> optax.GradientTransformation:
        """Clipping, the rule, and the scheduled rate, in that order.

        A player that moves at every n-th step counts its own moves; its schedule is stretched
        so that rates remain a function of the step of the run.
        """
        rates = self.rates(steps)
        clip = optax.clip_by_global_norm(self.clip) if self.clip else optax.identity()
        rate = optax.scale_by_learning_rate(lambda move: rates(move * self.every))
        return optax.chain(clip, self.rule(), rate)


@dataclasses.dataclass(kw_only=True)
class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980); with weight decay, AdamW."""

    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0  # decoupled, times the rate

    def rule(self) -> optax.GradientTransformation:
        """Adam's direction, plus the decay of weights if there is any."""
        adam = optax.scale_by_adam(b1=self.betas[0], b2=self.betas[1], eps=self.epsilon)
        if not self.weight_decay:
            return adam
        return optax.chain(adam, optax.add_decayed_weights(self.weight_decay))


@dataclasses.dataclass(kw_only=True)
class Sgd(Optimizer):
    """Stochastic gradient descent with (Nesterov) momentum."""

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0

    def rule(self) -> optax.GradientTransformation:
        """The momentum's direction; decay is added to the gradient, as torch does."""
        decay = optax.add_decayed_weights(self.weight_decay)
        return optax.chain(decay, optax.trace(self.momentum, self.nesterov))
