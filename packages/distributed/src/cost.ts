/** Cost model of the gradient exchange. */
import { Options, type Program, Shape } from "@spikeroute/core"
import { Schema } from "effect"

export interface Link {
  /** Send bandwidth of a process, in bytes per second, greater than 0. */
  readonly bandwidth: number
  /** Latency of a message, in seconds, at least 0. */
  readonly latency: number
}

export interface ExchangeCost {
  /** Bytes and messages that each process sends per batch. */
  readonly bytes: number
  readonly messages: number
  readonly seconds: number
}

const LinkSchema: Schema.Codec<Link & { readonly ranks: number }> = /* @__PURE__ */ Schema.Struct({
  bandwidth: Options.Positive,
  latency: Options.NonNegative,
  ranks: Options.whole(1),
})

/** Whether a buffer is exchanged once per batch. */
export const isExchanged = ({ kind, role }: Pick<Program.Buffer, "kind" | "role">): boolean =>
  kind === "gradient" || role === "metrics" || kind === "statistic"

/**
 * Cost of the exchange per batch among p processes, for a program with k micro-batches and n numbers to sum. Each process sends to each of
 * the p − 1 others its slice of the k rows, adds up its own slice of all rows, and sends the sum to the p − 1 others. In the LogGP model
 * (Alexandrov et al., SPAA 1995), with the overheads and gaps between messages included in the latency L, and G = 1/bandwidth:
 *
 *     bytes = 4·n·(k + 1)·(p − 1)/p,    messages = (k + 1)·(p − 1),    seconds = messages·L + bytes·G
 *
 * @example
 * const program = yield* Program.compile(graph, Policy.sltt, options)
 * const { seconds } = Distributed.exchangeCost(program, 8, { bandwidth: 1.25e9, latency: 50e-6 })
 *
 * @throws OptionError for arguments out of range
 */
export const exchangeCost = (
  program: Pick<Program.Program, "buffers" | "microBatches">,
  ranks: number,
  link: Link,
): ExchangeCost => {
  Options.argument(program, ["a program, as Program.compile gives", Options.has("buffers", "segments")], "exchangeCost")
  Options.assert("exchangeCost", LinkSchema, { ...link, ranks })
  const { bandwidth, latency } = link
  const numbers = program.buffers.filter(isExchanged).reduce((sum, { shape }) => sum + Shape.size(shape), 0)
  const exchanges = (program.microBatches + 1) * (ranks - 1)
  const bytes = (4 * numbers * exchanges) / ranks
  return { bytes, messages: exchanges, seconds: exchanges * latency + bytes / bandwidth }
}
