/** Finds the GPU adapter for tests. */

import { existsSync, readdirSync } from "node:fs"
import { Gpu } from "@spikeroute/backend-webgpu"
import { Effect } from "effect"
import { findChromium, loaderOf } from "./chromium.ts"

/** An adapter, or the reason why there is none, which skipped tests include in their names. */
export type TestAdapter =
  | { readonly adapter: GPUAdapter; readonly missing?: undefined }
  | { readonly adapter?: undefined; readonly missing: string }

const hasGpu = (): boolean =>
  process.platform !== "linux" ||
  ["/dev/nvidiactl", "/dev/kfd"].some((file) => existsSync(file)) ||
  (existsSync("/dev/dri") && readdirSync("/dev/dri").some((file) => file.startsWith("renderD")))

/** Sets environment variables for this process's native libraries: Bun's changes to `process.env` do not reach them. */
const setEnvironment = (dlopen: typeof import("bun:ffi").dlopen, variables: Readonly<Record<string, string>>): void => {
  const { symbols } = dlopen("libc.so.6", { setenv: { args: ["cstring", "cstring", "i32"], returns: "i32" } })
  const text = (value: string) => Buffer.from(`${value}\0`)
  for (const [name, value] of Object.entries(variables)) {
    process.env[name] = value
    symbols.setenv(text(name), text(value), 1)
  }
}

/** Selects SwiftShader for Vulkan if the machine has no GPU and the environment names no driver. */
const chooseDriver = async (): Promise<void> => {
  if (process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES || hasGpu()) return
  const chromium = findChromium()
  if (chromium === undefined) return
  const { dlopen } = await import("bun:ffi")
  // Implicit layers that desktops install would print to the standard error.
  setEnvironment(dlopen, { VK_ICD_FILENAMES: chromium.swiftShader, VK_LOADER_LAYERS_DISABLE: "~implicit~" })
  // Dawn loads Vulkan's loader by name and gets the one loaded here, so the system needs none.
  const loader = loaderOf(chromium)
  if (existsSync(loader)) dlopen(loader, { vkGetInstanceProcAddr: { args: ["ptr", "cstring"], returns: "ptr" } })
}

/**
 * The machine's adapter, or SwiftShader.
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
