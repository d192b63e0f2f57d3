/** An image, [height, width, channels], channels last. */
export interface Image {
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly data: Float32Array
}
