/** The adapter that tests run on. */

import { existsSync, readdirSync } from "node:fs"
import { Gpu } from "@spikeroute/backend-webgpu"
import { Effect } from "effect"
import { findChromium, loaderOf } from "./chromium.ts"

/** An adapter, or why there is none: then tests that need one are skipped, and say so in their name. */
export type TestAdapter =
  | { readonly adapter: GPUAdapter; readonly missing?: undefined }
  | { readonly adapter?: undefined; readonly missing: string }

const hasGpu = (): boolean =>
  process.platform !== "linux" ||
  ["/dev/nvidiactl", "/dev/kfd"].some((file) => existsSync(file)) ||
  (existsSync("/dev/dri") && readdirSync("/dev/dri").some((file) => file.startsWith("renderD")))

/** Sets variables where libraries of this process see them: Bun keeps changes of `process.env` to itself and its children. */
const setEnvironment = (dlopen: typeof import("bun:ffi").dlopen, variables: Readonly<Record<string, string>>): void => {
  const { symbols } = dlopen("libc.so.6", { setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" } })
  const text = (value: string) => Buffer.from(`${value}\0`)
  for (const [name, value] of Object.entries(variables)) {
    process.env[name] = value
    symbols.setenv(text(name), text(value), 1)
  }
}

/** Lets Vulkan use SwiftShader where the machine has no GPU and the environment names no driver. */
const chooseDriver = async (): Promise<void> => {
  if (process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES || hasGpu()) return
  const chromium = findChromium()
  if (chromium === undefined) return
  const { dlopen } = await import("bun:ffi")
  // Layers that desktops install write to standard error.
  setEnvironment(dlopen, { VK_ICD_FILENAMES: chromium.swiftShader, VK_LOADER_LAYERS_DISABLE: "~implicit~" })
  // Dawn asks for Vulkan's loader by name, and gets what is loaded already: the system need not have one.
  const loader = loaderOf(chromium)
  if (existsSync(loader)) dlopen(loader, { vkGetInstanceProcAddr: { args: ["ptr", "cstring"], returns: "ptr" } })
}

/**
 * The machine's adapter, else SwiftShader.
 *
 * @example
 * const { missing } = await findTestAdapter()
 * describe.skipIf(missing !== undefined)(`webgpu ${missing ?? ""}`, () => { … })
 */
export const findTestAdapter = async (): Promise<TestAdapter> => {
  if (!process.versions.bun) return { missing: "tests look for a GPU under Bun alone" }
  await chooseDriver()
  return Effect.runPromise(
    Gpu.findAdapter.pipe(
      Effect.map((adapter): TestAdapter => ({ adapter })),
      Effect.catch(({ message }) =>
        Effect.succeed({ missing: process.platform === "linux" ? `${message}; or bun run install:chromium` : message }),
      ),
    ),
  )
}
