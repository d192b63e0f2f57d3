/**
 * Spiking neural networks in one package, with promises: all of `@spikeroute/core`, and {@link train}, which trains and predicts with
 * the best backend that the runtime supports.
 *
 * @example
 * import { Graph, lif, linear, train } from "spikeroute"
 *
 * const inputs = Float32Array.from({ length: 64 * 8 }, (_, i) => i % 3)
 * const labels = Uint8Array.from({ length: 64 }, (_, n) => n % 2)
 * const network = Graph.sequential(linear({ features: 16 }), lif(), linear({ features: 2 }))
 * await using trainer = await train.create(network, { shape: [8] })
 * for await (const { epoch, loss } of trainer.epochs({ inputs, labels }, { epochs: 2 })) console.log(epoch, loss)
 * const { classes } = await trainer.predict(inputs)
 */
export * from "@spikeroute/core"
/** Training and prediction with promises. */
export * as train from "./train.ts"
