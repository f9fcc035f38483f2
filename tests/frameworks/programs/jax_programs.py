"""JAX: jit, grad, vmap, a scan, and a convolution."""
import jax
import jax.numpy as jnp
from report import value

key = jax.random.PRNGKey(0)
x = jax.random.normal(key, (256, 256))
value("device", jax.devices()[0].platform)
value("jit", float(jax.jit(lambda x: jnp.tanh(x @ x).sum())(x)))
value("grad", float(jax.jit(jax.grad(lambda x: jnp.log1p(jnp.exp(x @ x / 16)).sum()))(x).sum()))
value("vmap", float(jax.vmap(jnp.linalg.norm)(x).sum()))
value("scan", float(jax.lax.scan(lambda c, row: (c * 0.9 + row, c.sum()), jnp.zeros(256), x)[1].sum()))
image = jax.random.normal(key, (1, 3, 32, 32))
value("convolution", float(jax.lax.conv(image, jax.random.normal(key, (8, 3, 3, 3)), (1, 1), "SAME").sum()))
value("solve", float(jnp.linalg.solve(x + 32 * jnp.eye(256), x).sum()))
