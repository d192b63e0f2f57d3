/** What the exchange of gradients costs, before it runs. */
import { Options, type Program, Shape } from "@spikeroute/core"
import { Schema } from "effect"

export interface Link {
  /** Bytes a second that a process sends, greater than 0. */
  readonly bandwidth: number
  /** Seconds that a message takes beside its bytes, at least 0. */
  readonly latency: number
}

export interface ExchangeCost {
  /** What each process sends for a batch. */
  readonly bytes: number
  readonly messages: number
  readonly seconds: number
}

const LinkSchema: Schema.Codec<Link & { readonly ranks: number }> = /* @__PURE__ */ Schema.Struct({
  bandwidth: Options.Positive,
  latency: Options.NonNegative,
  ranks: Options.whole(1),
})

/** The buffers that are exchanged once a batch. */
export const isExchanged = ({ kind, role }: Pick<Program.Buffer, "kind" | "role">): boolean =>
  kind === "gradient" || role === "metrics" || kind === "statistic"

/**
 * The exchange of a batch among p processes, whose program has k micro-batches and n numbers to sum. Each process sends p − 1 others their
 * slices of its k rows, adds up its own slice of all rows, and sends the sum to p − 1 others. By LogGP (Alexandrov et al., SPAA 1995), with the
 * overheads and gaps between messages as part of the latency L, and G = 1/bandwidth:
 *
 *     bytes = 4·n·(k + 1)·(p − 1)/p,    messages = (k + 1)·(p − 1),    seconds = messages·L + bytes·G
 *
 * @example
 * const program = yield* Program.compile(graph, Policy.sltt, options)
 * const { seconds } = Distributed.exchangeCost(program, 8, { bandwidth: 1.25e9, latency: 50e-6 })
 *
 * @throws OptionError for numbers out of their ranges
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
