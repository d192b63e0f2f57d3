/** Finds Chromium and its SwiftShader: installed on the system, or in the cache by `bun run install:chromium`. */
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import type { Browser } from "playwright-core"

export interface Chromium {
  readonly executable: string
  /** SwiftShader's driver manifest for Vulkan's loader. */
  readonly swiftShader: string
  /** Folders with its shared libraries: Vulkan's loader and Chromium's dependencies. */
  readonly libraries: ReadonlyArray<string>
}

/** The npm package with Chromium and SwiftShader for Linux on x86-64, which needs no system packages. */
export const packaged = { name: "@sparticuz/chromium", version: "147.0.0" } as const

/** The folder into which `bun run install:chromium` unpacks it. */
export const cache = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
  "spikeroute",
  `chromium-${packaged.version}`,
)

const manifest = "vk_swiftshader_icd.json"

const onSystem: ReadonlyArray<Chromium> = [
  { executable: "/usr/bin/chromium", swiftShader: `/usr/lib/chromium/${manifest}`, libraries: [] },
  { executable: "/usr/bin/chromium-browser", swiftShader: `/usr/lib64/chromium-browser/${manifest}`, libraries: [] },
  { executable: "/usr/bin/google-chrome", swiftShader: `/opt/google/chrome/${manifest}`, libraries: [] },
]

const inCache: Chromium = {
  executable: join(cache, "chromium"),
  swiftShader: join(cache, manifest),
  libraries: [cache, join(cache, "lib")],
}

/** The first complete Chromium. */
export const findChromium = (): Chromium | undefined =>
  [...onSystem, inCache].find(({ executable, swiftShader }) => existsSync(executable) && existsSync(swiftShader))

/** Why browser tests are skipped, for their names; empty if there is a browser. */
export const missingChromium = findChromium() ? "" : ", which is missing: bun run install:chromium"

/** Starts headless Chromium with WebGPU on any adapter. The caller closes it. */
export const launchChromium = async (): Promise<Browser> => {
  const found = findChromium()
  if (found === undefined) throw new Error("Chromium is not installed: bun run install:chromium")
  const { chromium } = await import("playwright-core")
  const { LD_LIBRARY_PATH = "", ...env } = process.env
  const libraries = [...found.libraries, ...LD_LIBRARY_PATH.split(":")].filter(Boolean).join(":")
  return chromium.launch({
    executablePath: found.executable,
    args: [
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      // With this feature SwiftShader takes seconds per pipeline: see backend-webgpu's gpu.ts.
      "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension",
    ],
    env: { ...env, ...(libraries && { LD_LIBRARY_PATH: libraries }) } as Record<string, string>,
  })
}

/** Vulkan's loader in SwiftShader's folder. */
export const loaderOf = ({ swiftShader }: Chromium): string => join(dirname(swiftShader), "libvulkan.so.1")
