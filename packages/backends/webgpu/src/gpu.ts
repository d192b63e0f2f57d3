/// <reference types="@webgpu/types" />
/**
 * Finds a GPU: the runtime's own `navigator.gpu` (browsers, Deno), else Dawn, Chromium's WebGPU implementation, from the npm package
 * `webgpu` (Bun, Node).
 *
 * Dawn uses Vulkan on Linux, Metal on macOS and Direct3D 12 on Windows. If no GPU is found, the error names the missing part and what
 * to install.
 */
import { Options } from "@spikeroute/core"
import { Data, Effect } from "effect"

/** The part without which no GPU was found. */
export type MissingPart =
  /** The runtime has no WebGPU, and Dawn does not run in it. */
  | "runtime"
  /** The npm package `webgpu`. */
  | "package"
  /** Vulkan's loader, `libvulkan.so.1`. */
  | "loader"
  /** A driver, or a recent enough one. */
  | "driver"

/** WebGPU has no usable GPU. */
export class GpuUnavailableError extends Data.TaggedError("GpuUnavailableError")<{
  readonly missing: MissingPart
  /** What is missing and what to install, in one line. */
  readonly reason: string
}> {
  override get message(): string {
    return this.reason
  }
}

/** Description of an adapter. */
export interface AdapterInfo {
  /** For example `nvidia`, `amd`, `intel`, `apple`; `google` is SwiftShader, a software driver. */
  readonly vendor: string
  /** The GPU family, for example `hopper`. */
  readonly architecture: string
  readonly description: string
  /** Dawn and the graphics API below it (Vulkan, Metal or Direct3D 12), or the runtime's own WebGPU. */
  readonly backend: string
  /** Whether the adapter is a software implementation that runs on the CPU. */
  readonly software: boolean
  /** Optional features, sorted: `shader-f16`, `subgroups`, `timestamp-query`, … */
  readonly features: ReadonlyArray<string>
  /** Whether kernels can reduce within subgroups: the adapter has them, and WGSL has the extension `subgroup_id`. */
  readonly subgroups: boolean
  /** Minimum and maximum threads per subgroup, if the adapter has subgroups. */
  readonly subgroupSizes?: readonly [number, number]
  readonly limits: Readonly<Record<(typeof limitNames)[number], number>>
}

/** Limits that decide which programs fit and how kernels are tiled. Sizes are in bytes. */
export const limitNames = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies ReadonlyArray<keyof GPUSupportedLimits>

/** Runtime-specific globals. */
const runtime: {
  readonly navigator?: { readonly gpu?: GPU }
  readonly isSecureContext?: boolean
  readonly Bun?: { readonly isMainThread: boolean }
} = globalThis

const isNode = typeof process === "object" && typeof process.versions?.node === "string"

/** Created once and kept: Dawn crashes the process if its objects are collected while it works. */
let dawn: Promise<GPU> | undefined

/** The last result of {@link entry}. */
let known: GPU | undefined

/**
 * WebGPU's entry point. If it comes from Dawn, the standard's constants (`GPUBufferUsage`, …) are defined as globals, as they are in
 * browsers. Fails with {@link GpuUnavailableError} if the runtime has no WebGPU and Dawn cannot be loaded.
 */
export const entry: Effect.Effect<GPU, GpuUnavailableError> = Effect.suspend(() => {
  const own = runtime.navigator?.gpu
  if (own !== undefined) return Effect.succeed(own)
  if (!isNode)
    return Effect.fail(
      new GpuUnavailableError({
        missing: "runtime",
        reason:
          runtime.isSecureContext === false
            ? "browsers have WebGPU on pages from https or localhost only"
            : "this runtime has no WebGPU: use a browser that has it, Deno, or Bun or Node with the npm package webgpu",
      }),
    )
  return Effect.tryPromise({
    try: () => (dawn ??= startDawn()),
    catch: (error) => error as GpuUnavailableError,
  })
}).pipe(
  Effect.tap((gpu) => {
    known = gpu
    return Effect.void
  }),
)

const startDawn = async (): Promise<GPU> => {
  if (runtime.Bun?.isMainThread === false)
    throw new GpuUnavailableError({
      missing: "runtime",
      reason: "Dawn, the WebGPU of Bun, does not run in its workers: use the main thread",
    })
  const { create, globals } = await import("webgpu").catch((error: unknown) => {
    const text = error instanceof Error ? error.message : String(error)
    const absent = /cannot find (package|module) ['"]?webgpu\b/i.test(text)
    throw new GpuUnavailableError({
      missing: "package",
      reason: absent
        ? "the npm package webgpu (Dawn) is not installed: bun add webgpu@0.6.2"
        : `the npm package webgpu (Dawn) cannot be loaded on ${process.platform} ${process.arch}: ${text.split("\n")[0]}`,
    })
  })
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true })
  // SwiftShader unrolls Vulkan's zeroing of workgroup memory into one store per word, so that creating a pipeline takes seconds. Dawn's
  // own zeroing is a loop.
  return create(["disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension"])
}

/**
 * The machine's GPU adapter, the high-performance one if there are two. Fails with {@link GpuUnavailableError}.
 *
 * @example
 * const adapter = yield* Gpu.findAdapter
 * console.log(Gpu.format(Gpu.info(adapter)))
 */
export const findAdapter: Effect.Effect<GPUAdapter, GpuUnavailableError> = Effect.gen(function* () {
  const gpu = yield* entry
  // On Linux the request is rejected if there is no driver, and resolves to null if the driver is too old.
  const request = () => gpu.requestAdapter({ powerPreference: "high-performance" }).catch(() => null)
  const adapter = yield* Effect.promise(async () => {
    if (dawn === undefined) return request()
    // Dawn and Vulkan's loader print every driver that they cannot use; `diagnose` reports the relevant part.
    const { silenceStderr } = await import("./silence-stderr.ts")
    return silenceStderr(request)
  })
  return adapter ?? (yield* Effect.promise(diagnose).pipe(Effect.flatMap(Effect.fail)))
})

/** Explains why there is no adapter. */
const diagnose = async (): Promise<GpuUnavailableError> => {
  const missing = (part: MissingPart, reason: string) => new GpuUnavailableError({ missing: part, reason })
  if (!isNode || dawn === undefined)
    return missing("driver", "this runtime has WebGPU but no adapter: no GPU is there, or its driver is blocked")
  if (process.platform !== "linux")
    return missing("driver", "no GPU adapter: the graphics driver of this machine is missing or too old")
  const { findLoader, findDrivers } = await import("./vulkan.ts")
  if (!findLoader())
    return missing(
      "loader",
      "no GPU adapter: Vulkan's loader libvulkan.so.1 is missing: apt-get install libvulkan1 (Fedora: vulkan-loader), and the GPU's driver",
    )
  const software = "apt-get install chromium and VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json"
  const drivers = findDrivers()
  return drivers.length === 0
    ? missing(
        "driver",
        `no GPU adapter: no Vulkan driver is installed: install the GPU's (NVIDIA's own, or mesa-vulkan-drivers), or a software one: ${software}`,
      )
    : missing(
        "driver",
        `no GPU adapter: WebGPU can use none of the Vulkan drivers ${drivers.join(", ")}: install a newer one of the GPU's, or a software one: ${software}`,
      )
}

const anInfo: Options.Kind = ["what Gpu.info gives", (value) => typeof Object(value).vendor === "string"]

export const anAdapter: Options.Kind = ["a GPUAdapter", (value) => typeof Object(value).requestDevice === "function"]

/** Describes an adapter. */
export const info = (adapter: GPUAdapter): AdapterInfo => {
  const { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize, subgroupMaxSize } =
    Options.argument(adapter, anAdapter, "Gpu.info").info
  return {
    vendor,
    architecture,
    description: description || device,
    backend: backendOf(),
    software: isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${architecture} ${description}`),
    features: [...adapter.features].sort(),
    subgroups: adapter.features.has("subgroups") && known?.wgslLanguageFeatures.has("subgroup_id") === true,
    ...(adapter.features.has("subgroups") && subgroupMinSize && subgroupMaxSize
      ? { subgroupSizes: [subgroupMinSize, subgroupMaxSize] as const }
      : {}),
    limits: Object.fromEntries(limitNames.map((name) => [name, adapter.limits[name]])) as AdapterInfo["limits"],
  }
}

const systems: Readonly<Record<string, string>> = { linux: "Vulkan", darwin: "Metal", win32: "Direct3D 12" }

const backendOf = (): string =>
  dawn === undefined ? "the runtime's WebGPU" : `Dawn on ${systems[process.platform] ?? process.platform}`

/** One line: vendor, architecture, description, API, and whether it is software. */
export const format = (info: AdapterInfo): string => {
  const { vendor, architecture, description, backend, software } = Options.argument(info, anInfo, "Gpu.format")
  const name = [vendor, architecture].filter((part) => part !== "").join(" ") || "unnamed adapter"
  return `${name}${description ? ` (${description})` : ""}, ${backend}${software ? ", software" : ""}`
}
