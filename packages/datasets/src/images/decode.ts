/** JPEG and PNG files to images, by sharp (libvips), which decodes on threads of its own. */
import { Effect } from "effect"
import { MalformedFile } from "../errors.ts"
import { describeStart } from "../formats/bytes.ts"
import type { Image } from "./image.ts"

/** An image of one byte a value. */
export interface Pixels extends Omit<Image, "data"> {
  readonly data: Uint8Array
}

const oneLine = (error: unknown) => String(error instanceof Error ? error.message : error).replaceAll(/\s*\n\s*/g, "; ")

/**
 * Decodes an image to red, green and blue, whatever its colours are stored as; what is transparent stands before
 * black. `file` is its name, for errors. A file that is cut off or corrupt fails, it is not filled up with grey.
 */
export const decodeImage = (file: string, bytes: Uint8Array): Effect.Effect<Pixels, MalformedFile> =>
  Effect.tryPromise({
    try: async () => {
      const { default: sharp } = await import("sharp")
      const { data, info } = await sharp(bytes, { failOn: "truncated" })
        .toColourspace("srgb")
        .flatten()
        .raw()
        .toBuffer({ resolveWithObject: true })
      return { height: info.height, width: info.width, channels: info.channels, data }
    },
    catch: (error) =>
      new MalformedFile({ file, problem: `begins ${describeStart(bytes)} and cannot be decoded: ${oneLine(error)}` }),
  })

/** The image in floats, byte ⁄ 255. */
export const toImage = ({ height, width, channels, data: bytes }: Pixels): Image => {
  const data = new Float32Array(bytes.length)
  for (let i = 0; i < data.length; i++) data[i] = (bytes[i] as number) / 255
  return { height, width, channels, data }
}
