import { type Layer, leaf } from "../graph/builder.ts"
import { build } from "./define.ts"
import { type FiringOptions, FiringSchema, leaky } from "./leaky.ts"

/** Integrate-and-fire neurons without leak: u[t] = v[t−1] + x[t],  s[t] = [u[t] ≥ ϑ]; the reset is soft by default. */
export const integrateAndFire = (options: FiringOptions = {}): Layer =>
  leaf("if", FiringSchema, options, (x, name, given) => build("if", leaky, given, x, name))
