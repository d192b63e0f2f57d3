/**
 * The WebGPU backend. Programs run on the GPU as WGSL in browsers and Deno, and through Dawn under Bun and Node.
 *
 * {@link layer} uses the machine's GPU; {@link Gpu} finds and describes adapters.
 */
import { Backend, BackendUnavailableError, Options } from "@spikeroute/core"
import { Effect, Layer } from "effect"
import { type Device, openDevice } from "./device.ts"
import { prepare } from "./executable.ts"
import * as Gpu from "./gpu.ts"
import { name } from "./memory.ts"

export type { Device } from "./device.ts"
export { openDevice } from "./device.ts"
/** Finds and describes GPU adapters. */
export * as Gpu from "./gpu.ts"

const aDevice: Options.Kind = ["a device, as openDevice gives", (value) => Object(value).info !== undefined]

/** The backend on an open device. The caller closes the device. */
export const fromDevice = (device: Device): Backend["Service"] =>
  Backend.of({
    name,
    description: Gpu.format(Options.argument(device, aDevice, "fromDevice").info),
    prepare: (program) => prepare(device, program),
  })

const open = Effect.gen(function* () {
  const adapter = yield* Gpu.findAdapter
  return yield* Effect.tryPromise(() => openDevice(adapter, Gpu.info(adapter)))
}).pipe(
  Effect.mapError(({ message, cause }) => {
    const reason = cause instanceof Error ? cause.message : message
    return new BackendUnavailableError({ backend: name, reason })
  }),
)

/**
 * The backend on the machine's GPU, the high-performance one if there are two. The device is closed with the layer. Fails with
 * BackendUnavailableError if there is no usable GPU.
 */
export const layer: Layer.Layer<Backend, BackendUnavailableError> = Layer.effect(
  Backend,
  Effect.acquireRelease(open, ({ close }) => Effect.sync(close)).pipe(Effect.map(fromDevice)),
)
