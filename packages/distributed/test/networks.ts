/** Networks that processes train together, and their samples. */
import * as S from "@spikeroute/core"

export const timeSteps = 3
export const updates = 3
const batchSize = 8
const extent = 6

const conv = (normalized: boolean) =>
  S.Graph.make(
    [extent, extent, 1],
    S.Graph.sequential(
      S.conv2d({ channels: 3, kernelSize: 3, padding: 1 }),
      ...(normalized ? [S.batchNorm()] : []),
      S.lif({ tau: 2 }),
      S.averagePool({ kernelSize: 2 }),
      S.dropout(0.2),
      S.flatten(),
      S.linear({ features: 3 }),
    ),
  )

export const networks = {
  static: { graph: conv(false), policy: S.Policy.sltt, batchSize, encoding: "static" },
  frames: { graph: conv(false), policy: S.Policy.slttK(2), batchSize, encoding: "frames" },
  normalized: { graph: conv(true), policy: S.Policy.bptt, batchSize, encoding: "static" },
} as const

/** A rank's share of the samples of the whole batch. */
export const samplesOf = (name: keyof typeof networks, update: number, rank: number, size: number): S.Train.Batch => {
  const { encoding } = networks[name]
  const steps = encoding === "frames" ? timeSteps : 1
  const key = S.Key.fold(S.Key.make(7), name, update)
  const all = S.Key.uniform(key, new Float32Array(steps * batchSize * extent ** 2))
  const own = batchSize / size
  const stride = all.length / steps
  const inputs = Float32Array.from({ length: all.length / size }, (_, i) => {
    const t = Math.floor(i / (stride / size))
    return 3 * (all[t * stride + (rank * stride) / size + (i % (stride / size))] as number)
  })
  return { inputs, labels: Float32Array.from({ length: own }, (_, n) => (rank * own + n) % 3) }
}
