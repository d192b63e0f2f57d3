/**
 * The part of the core for inference: graphs, layers, models, the inference compiler, predictors, weight files. It is
 * {@link ./index.ts} without policies, losses, optimisers and trainers, which keeps bundles for pages and serverless functions small.
 *
 * `@spikeroute/backend-wasm/infer` runs a program file compiled ahead of time, without this compiler.
 *
 * @example
 * import * as S from "@spikeroute/core/infer"
 *
 * const graph = yield* S.Graph.make([8, 8, 1], S.Graph.sequential(S.flatten(), S.linear({ features: 10 })))
 * const predictor = yield* S.makePredictor(graph, { batchSize: 1, timeSteps: 4 })
 * const { outputs } = yield* predictor.predict(new Float32Array(64))
 */

export * from "./backend/backend.ts"
export * from "./errors.ts"
/** Graphs: what a network computes at one time step, built from layers, and as JSON. */
export * as Graph from "./graph/index.ts"
/** Conversion to and from PyTorch's layouts, state dicts and files. */
export * as PyTorch from "./interop/pytorch.ts"
/** Safetensors files. */
export * as Safetensors from "./interop/safetensors.ts"
export * from "./layers.ts"
/** Named models: perceptrons, ResNets, VGGs. */
export * as Models from "./models/index.ts"
/** Inference programs: the compiler, schedules, costs and buffers. */
export * as Program from "./program/inference.ts"
/** Shapes of tensors. */
export * as Shape from "./shape.ts"
/** Spikes packed into bits. */
export * as Spikes from "./spikes.ts"
export { hits } from "./train/accuracy.ts"
export { type LoadError, makePredictor, type Predictor, type Tensors } from "./train/predictor.ts"
