/** The GPU that tests run on; where there is none, they say why and are skipped. */
import { afterAll } from "bun:test"
import { Backend } from "@spikeroute/core"
import { findTestAdapter } from "@spikeroute/test-support"
import { Effect, Layer } from "effect"
import { type Device, fromDevice, Gpu, openDevice } from "../src/index.ts"

const { adapter, missing } = await findTestAdapter()

/** Why there is no GPU, where there is none. */
export const withoutGpu = missing

/** Whether the GPU is a program on the processor, on which whole networks take their time. */
export const onSoftware = adapter !== undefined && Gpu.info(adapter).software

/** A device of its own: an adapter gives one. What the adapter says of itself, and some of its limits, can be overruled. */
export const open = async (
  overruled: Partial<Gpu.AdapterInfo> = {},
  limits: Partial<Gpu.AdapterInfo["limits"]> = {},
): Promise<Device> => {
  const own = await Effect.runPromise(Gpu.findAdapter)
  const info = Gpu.info(own)
  return openDevice(own, { ...info, ...overruled, limits: { ...info.limits, ...limits } })
}

/** A device that is shared by a file of tests, opened when it is first used. */
export const shared = (...overruled: Parameters<typeof open>) => {
  let opened: Promise<Device> | undefined
  const device = () => (opened ??= open(...overruled))
  afterAll(async () => (await opened)?.close())
  return {
    device,
    layer: Layer.effect(Backend, Effect.promise(device).pipe(Effect.map((device) => fromDevice(device)))),
    /** Bytes that the backend holds. */
    resources: Effect.promise(device).pipe(Effect.map((device) => device.allocatedBytes())),
  }
}
