"""XLA settings: each computation runs in the calling thread, on one core, whatever the machine has.

Folds are spread over the cores, so spreading a computation over them too gains nothing: its steps take microseconds, and to wake another
core takes as long. It would not even be the same computation: a sum that is split over two cores has other last digits than one that is
split over four, and a model would depend on the machine's number of them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from forwardtrader.models.forecasters.compiled_code import folder_in_use, one_at_a_time

# Steps in such an order that few are ready at a time: of many, XLA hands half to a thread of its own. The names that new and old versions
# have for it; one that knows neither computes the same numbers, slower.
_ORDERS: Final[tuple[dict[str, Any], ...]] = (
    {"xla_cpu_scheduler_type": "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"},
    {"xla_cpu_enable_concurrency_optimized_scheduler": False},
)


def prepare_jax(cache: Path | None = None) -> None:
    """Set up jax; compiled code is kept in the folder `cache`, or where `JAX_COMPILATION_CACHE_DIR` says.

    Has to come before the first computation of the process.
    """
    _prepare()
    if cache is None:
        return
    import jax

    cache = folder_in_use(cache)
    cache.mkdir(parents=True, exist_ok=True)
    configure: Any = jax.config.update
    configure("jax_compilation_cache_dir", str(cache.resolve()))
    configure("jax_persistent_cache_min_compile_time_secs", 0.1)
    configure("jax_persistent_cache_min_entry_size_bytes", -1)


@functools.cache
def _prepare() -> None:
    os.environ.setdefault("PJRT_NPROC", "1")
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import jax

    configure: Any = jax.config.update
    configure("jax_cpu_enable_async_dispatch", False)
    configure("jax_default_matmul_precision", "highest")  # a GPU would round products to 10 bits; on a processor nothing changes
    # What XLA would keep beside compiled code brings the folder's name into every key: code in a folder that was moved is never found.
    configure("jax_persistent_cache_enable_xla_caches", "none")


def compiled(function: Callable[..., Any], *shapes: Any, cache: Path | None = None) -> Any:
    """`function` for arguments of these shapes and types; of all processes that share the folder `cache`, one at a time compiles."""
    prepare_jax()
    import jax

    lowered = jax.jit(function).lower(*shapes)
    with one_at_a_time(None if cache is None else folder_in_use(cache)):
        for order in _ORDERS:
            try:
                return lowered.compile(compiler_options=order)
            except jax.errors.JaxRuntimeError as error:
                if "No such compile option" not in str(error):
                    raise
        return lowered.compile()


def placed(arguments: Any) -> Any:
    """Arrays where XLA computes, arrived: what is asked for while its arguments are on their way is done by another thread."""
    prepare_jax()
    import jax

    wait: Any = jax.block_until_ready
    return wait(jax.device_put(arguments))
