/** The GPU that the tests use. If there is none, they are skipped and say why. */
import { afterAll } from "bun:test"
import { Backend } from "@spikeroute/core"
import { findTestAdapter } from "@spikeroute/test-support"
import { Effect, Layer } from "effect"
import { type Device, fromDevice, Gpu, openDevice } from "../src/index.ts"

const { adapter, missing } = await findTestAdapter()

/** Why there is no GPU; `undefined` if there is one. */
export const withoutGpu = missing

/** Whether the GPU is a software implementation, on which whole networks are slow. */
export const onSoftware = adapter !== undefined && Gpu.info(adapter).software

/** Opens a new device. The adapter's description and limits can be overridden. */
export const open = async (
  overruled: Partial<Gpu.AdapterInfo> = {},
  limits: Partial<Gpu.AdapterInfo["limits"]> = {},
): Promise<Device> => {
  const own = await Effect.runPromise(Gpu.findAdapter)
  const info = Gpu.info(own)
  return openDevice(own, { ...info, ...overruled, limits: { ...info.limits, ...limits } })
}

/** A device shared by a test file, opened on first use. */
export const shared = (...overruled: Parameters<typeof open>) => {
  let opened: Promise<Device> | undefined
  const device = () => (opened ??= open(...overruled))
  afterAll(async () => (await opened)?.close())
  return {
    device,
    layer: Layer.effect(Backend, Effect.promise(device).pipe(Effect.map((device) => fromDevice(device)))),
    /** Bytes that the backend has allocated. */
    resources: Effect.promise(device).pipe(Effect.map((device) => device.allocatedBytes())),
  }
}
