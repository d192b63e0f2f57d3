/**
 * What a spike s does to the membrane potential u, giving the potential v that the next step starts from:
 *
 *     soft   v = u − threshold·s
 *     hard   v = u·(1 − s)
 *     none   v = u
 */
import type { Schema } from "effect"
import { oneOf } from "../options.ts"

export type Reset = "soft" | "hard" | "none"

export const ResetSchema: Schema.Literals<ReadonlyArray<Reset>> = oneOf(["soft", "hard", "none"])

interface Rule {
  readonly after: (u: number, s: number, threshold: number) => number
  /** ∂v/∂u with s held, and ∂v/∂s. */
  readonly byMembrane: (s: number) => number
  readonly bySpike: (u: number, threshold: number) => number
}

export const resets: { readonly [R in Reset]: Rule } = {
  soft: { after: (u, s, threshold) => u - threshold * s, byMembrane: () => 1, bySpike: (_, threshold) => -threshold },
  hard: { after: (u, s) => u * (1 - s), byMembrane: (s) => 1 - s, bySpike: (u) => -u },
  none: { after: (u) => u, byMembrane: () => 1, bySpike: () => 0 },
}
