/**
 * The TensorFlow.js backend, on three engines: {@link cpu}, {@link wasm} and {@link webgpu}.
 *
 * Programs contain their own backward instructions, so TensorFlow.js's automatic differentiation is not used. Kernels of core are
 * compositions of TensorFlow.js's kernels. If JavaScript can access an engine's memory, kernels that would need many passes run there in
 * one.
 */
import { Backend, BackendUnavailableError, type OptionError, Options } from "@spikeroute/core"
import { Effect, Layer, Schema } from "effect"
import type { Engine } from "./engine.ts"
import { type EngineName, engines, type LoadOptions, OptionsSchema } from "./engines.ts"
import { prepare } from "./executable.ts"

export { type LoadOptions, OptionsSchema as TfjsSchema } from "./engines.ts"

const anEngine: Options.Kind = ["an engine", (value) => typeof Object(value).close === "function"]

/** The backend on a loaded engine. The caller closes the engine. */
export const fromEngine = (engine: Engine): Backend["Service"] =>
  Backend.of({
    name: Options.argument(engine, anEngine, "fromEngine").name,
    description: engine.description,
    prepare: (program) => prepare(engine, program),
  })

const NameSchema = Schema.Struct({ engine: Options.oneOf(Object.keys(engines)) })

/**
 * The backend on the engine `name`, which is closed with the layer. Fails with OptionError if an option is out of range, and with
 * BackendUnavailableError if the engine cannot run here.
 */
export const layer = (
  name: EngineName,
  options: LoadOptions = {},
): Layer.Layer<Backend, BackendUnavailableError | OptionError> =>
  Layer.effect(
    Backend,
    Options.check("the TensorFlow.js backend", NameSchema, { engine: name }).pipe(
      Effect.andThen(Options.check("the TensorFlow.js backend", OptionsSchema, options)),
      Effect.andThen(
        Effect.acquireRelease(
          Effect.tryPromise({
            try: () => engines[name](options),
            catch: (error) =>
              new BackendUnavailableError({
                backend: name,
                reason: error instanceof Error ? error.message : String(error),
              }),
          }),
          (engine) => Effect.sync(() => engine.close()),
        ),
      ),
      Effect.map(fromEngine),
    ),
  )

/** TensorFlow.js in plain JavaScript, named `tfjs-cpu`. Runs everywhere. */
export const cpu: Layer.Layer<Backend, BackendUnavailableError | OptionError> = layer("tfjs-cpu")

/** TensorFlow.js in WebAssembly with SIMD and up to 4 threads, named `tfjs-wasm`. */
export const wasm: Layer.Layer<Backend, BackendUnavailableError | OptionError> = layer("tfjs-wasm")

/** TensorFlow.js on a GPU, through the runtime's WebGPU or Dawn, named `tfjs-webgpu`. */
export const webgpu: Layer.Layer<Backend, BackendUnavailableError | OptionError> = layer("tfjs-webgpu")
