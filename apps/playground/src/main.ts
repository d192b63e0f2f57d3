/** `bun run playground`: serves the page, or writes it to a folder with `--build DIR`. */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { quote } from "@spikeroute/core/text"
import { isolation, serve } from "@spikeroute/web-tools"
import { makeSite } from "./site.ts"

const help = `bun run playground                serve the page at http://localhost:5173
bun run playground --port 8080    use another port; 0 chooses a free one
bun run playground --build DIR    write the page to a static folder`

/** Exits with status 2 and one line that says what to change. */
const refuse = (reason: string): never => {
  console.error(`error: ${reason}`)
  process.exit(2)
}

const read = () => {
  try {
    return parseArgs({
      args: process.argv.slice(2),
      options: { build: { type: "string" }, port: { type: "string", default: "5173" }, help: { type: "boolean" } },
    }).values
  } catch (error) {
    const said = (error as Error).message.split(/\.?\n|\. /)[0]
    return refuse(`${quote(said).slice(1, -1)}; see --help`)
  }
}

const { build, port, help: asked } = read()

const buildTo = async (folder: string): Promise<void> => {
  const files = await makeSite({ minify: true })
  try {
    mkdirSync(folder, { recursive: true })
    for (const [name, file] of files) await Bun.write(join(folder, name), file)
  } catch (error) {
    const { code } = error as { readonly code?: string }
    refuse(
      `--build ${quote(folder)} ${code === "EEXIST" ? "is a file" : `cannot be written (${code})`}; name another folder`,
    )
  }
  console.log(`${files.size} files in ${folder}. Threads need these headers from the server:`)
  for (const name of ["Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy"] as const)
    console.log(`  ${name}: ${isolation[name]}`)
}

const serveAt = async (text: string): Promise<void> => {
  const wanted = Number(text)
  if (!/^\d{1,5}$/.test(text) || wanted > 65535) refuse(`--port ${quote(text)}: must be 0 … 65535`)
  const files = await makeSite({ minify: true })
  try {
    console.log(`The playground is at ${serve(files, wanted).address} (Ctrl-C to stop)`)
  } catch (error) {
    const { code } = error as { readonly code?: string }
    refuse(
      code === "EADDRINUSE"
        ? `port ${wanted} is taken: choose another; --port 0 chooses a free one`
        : `port ${wanted} cannot be opened (${code}): choose another; --port 0 chooses a free one`,
    )
  }
}

if (asked) console.log(help)
else if (build !== undefined) await buildTo(build)
else await serveAt(port)
