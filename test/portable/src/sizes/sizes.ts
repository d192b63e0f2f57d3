/** Download sizes of the library's main uses: bundled, minified and gzipped, including the kernels. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

export interface Size {
  readonly path: string
  /** Bytes, gzipped. */
  readonly code: number
  readonly kernels: number
  /** Limit of the sum, in bytes. */
  readonly limit: number
}

const gzipped = (bytes: Uint8Array | string): number => gzipSync(bytes, { level: 9 }).length

const bundle = (entry: string) =>
  Bun.build({ entrypoints: [join(import.meta.dir, entry)], target: "browser", minify: true, metafile: true })

const bundled = async (entry: string): Promise<number> => {
  const { outputs } = await bundle(entry)
  return gzipped((await outputs[0]?.text()) ?? "")
}

/** Paths of the modules that contribute to a bundle. */
export const modulesOf = async (entry: string): Promise<ReadonlyArray<string>> => {
  const { metafile } = await bundle(entry)
  return Object.values(metafile?.outputs ?? {}).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  )
}

/** The sizes of all uses. */
export const sizes = async (): Promise<ReadonlyArray<Size>> => {
  const file = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))
  const kernels = gzipped(await readFile(file))
  return [
    { path: "inference", code: await bundled("inference.ts"), kernels, limit: 62 * 1024 },
    { path: "inference from a graph", code: await bundled("graph.ts"), kernels, limit: 107 * 1024 },
    { path: "training", code: await bundled("training.ts"), kernels, limit: 115 * 1024 },
  ]
}

/** The table in docs/deployment.md. */
export const table = (all: ReadonlyArray<Size>): string => {
  const rounded = (bytes: number) => (bytes / 1024).toFixed(1)
  const rows = all.map(({ path, code, kernels, limit }) =>
    [path, ...[code, kernels, code + kernels].map(rounded), String(limit / 1024)].join(" | "),
  )
  return ["path, KB | code | kernels | sum | limit", "--- | --- | --- | --- | ---", ...rows]
    .map((row) => `| ${row} |\n`)
    .join("")
}
