"""Packed pixels become the image that was packed, whoever packed it, or a ValueError."""

import struct
import threading
from pathlib import Path
from typing import Any

import h5py
import hdf5_bitshuffle
import hdf5plugin
import lz4.block
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from braggwatch.processing.decompression import as_hdf5_chunk, decompress
from braggwatch.processing.frame import Encoding

BSLZ4 = Encoding("bslz4", "hdf5")


def unpacked(payload: bytes, encoding: Encoding, shape: tuple[int, int], dtype: str) -> NDArray[Any]:
    out = np.full(shape, 113, dtype)
    decompress(payload, encoding, shape, dtype, out)
    return out


def header(image: NDArray[Any], block: int = 8192) -> bytes:
    return struct.pack(">QI", image.nbytes, block)


def bslz4(image: NDArray[Any], block: int = 0) -> bytes:
    blocks: bytes = hdf5_bitshuffle.compress_lz4(image, block)
    return header(image, block * image.itemsize or 8192) + blocks


def photons(shape: tuple[int, int], dtype: str, highest: int, seed: int = 0) -> NDArray[Any]:
    """A few photons a pixel, and one stripe and a few single pixels that reach up to `highest`."""
    rng = np.random.default_rng(seed)
    image = rng.poisson(0.7, shape)
    image[:, shape[1] // 2 : shape[1] // 2 + 3] = highest
    image.flat[rng.integers(0, image.size, 1 + image.size // 500)] = rng.integers(0, highest, 1 + image.size // 500)
    return image.astype(dtype)


@pytest.mark.parametrize(
    "shape",
    [(1, 1), (1, 7), (1, 8), (1, 9), (3, 21), (8, 64), (8, 65), (64, 64), (100, 103), (257, 129), (512, 1030)],
)
@pytest.mark.parametrize(("dtype", "highest"), [("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1)])
def test_what_bitshuffle_packed_is_unpacked(shape: tuple[int, int], dtype: str, highest: int) -> None:
    image = photons(shape, dtype, highest)
    assert np.array_equal(unpacked(bslz4(image), BSLZ4, shape, dtype), image)


@pytest.mark.parametrize("bits", range(33))
def test_every_number_of_planes_in_use_is_unpacked(bits: int) -> None:
    image = np.random.default_rng(bits).integers(0, 2**bits, (70, 97), np.uint64).astype(np.uint32)
    assert np.array_equal(unpacked(bslz4(image), BSLZ4, image.shape, "uint32"), image)


@pytest.mark.parametrize("bit", range(16))
def test_each_single_plane_is_unpacked(bit: int) -> None:
    image = np.zeros((65, 130), np.uint16)
    image[::3, ::7] = 1 << bit
    assert np.array_equal(unpacked(bslz4(image), BSLZ4, image.shape, "uint16"), image)


@pytest.mark.parametrize("block", [8, 64, 256, 1024, 4096, 32768])
def test_blocks_of_any_size_are_unpacked(block: int) -> None:
    image = photons((150, 201), "uint16", 4000)
    assert np.array_equal(unpacked(bslz4(image, block), BSLZ4, image.shape, "uint16"), image)


@pytest.mark.parametrize(("framing", "ahead"), [("headerless", b""), ("zero_header", bytes(12))])
def test_payloads_without_a_header_are_unpacked(framing: str, ahead: bytes) -> None:
    image = photons((120, 150), "uint16", 65535)
    payload = ahead + hdf5_bitshuffle.compress_lz4(image, 4096)
    assert np.array_equal(unpacked(payload, Encoding("bslz4", framing), image.shape, "uint16"), image)


def test_a_block_size_of_zero_means_the_usual_one() -> None:
    image = photons((120, 150), "uint16", 65535)
    payload = header(image, 0) + bslz4(image)[12:]
    assert np.array_equal(unpacked(payload, BSLZ4, image.shape, "uint16"), image)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_signed_and_floating_pixels_are_unpacked(dtype: str) -> None:
    image = (photons((90, 101), "int32", 30000).astype("f8") - 100).astype(dtype)
    assert np.array_equal(unpacked(bslz4(image), BSLZ4, image.shape, dtype), image)


@pytest.mark.parametrize("algorithm", ["bslz4", "lz4", "none"])
def test_big_endian_pixels_arrive_in_either_byte_order(algorithm: str) -> None:
    image = photons((40, 50), "uint16", 65535)
    packed = {
        "bslz4": bslz4(image.byteswap()),
        "lz4": lz4.block.compress(image.astype(">u2").tobytes(), store_size=False),
        "none": image.astype(">u2").tobytes(),
    }[algorithm]
    encoding = Encoding(algorithm, "bare" if algorithm == "lz4" else "hdf5")
    for dtype in ("<u2", ">u2"):
        out = np.zeros(image.shape, dtype)
        decompress(packed, encoding, image.shape, ">u2", out)
        assert np.array_equal(out, image)


def chunk_by_hdf5(path: Path, image: NDArray[Any], **compression: object) -> bytes:
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", data=image[None], chunks=(1, *image.shape), **compression)
        return bytes(data.id.read_direct_chunk((0, 0, 0))[1])


@pytest.mark.parametrize("nbytes", [0, 4096, 8000])
def test_chunks_of_the_hdf5_lz4_filter_are_unpacked(tmp_path: Path, nbytes: int) -> None:
    image = photons((103, 99), "uint16", 65535)
    image[:30] = np.random.default_rng(0).integers(0, 65536, (30, 99))  # these blocks are stored as they are
    chunk = chunk_by_hdf5(tmp_path / "lz4.h5", image, compression=hdf5plugin.LZ4(nbytes))
    assert np.array_equal(unpacked(chunk, Encoding("lz4", "hdf5"), image.shape, "uint16"), image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
@pytest.mark.parametrize("algorithm", ["bslz4", "bszstd"])
def test_chunks_of_the_hdf5_bitshuffle_filter_are_unpacked(tmp_path: Path, algorithm: str, dtype: str) -> None:
    image = photons((103, 99), dtype, 255)
    options = hdf5plugin.Bitshuffle(cname="lz4" if algorithm == "bslz4" else "zstd")
    chunk = chunk_by_hdf5(tmp_path / "bitshuffle.h5", image, compression=options)
    assert np.array_equal(unpacked(chunk, Encoding(algorithm, "hdf5"), image.shape, dtype), image)


def test_a_bare_lz4_block_is_unpacked() -> None:
    image = photons((103, 99), "uint32", 2**32 - 1)
    payload = lz4.block.compress(image.tobytes(), store_size=False)
    assert np.array_equal(unpacked(payload, Encoding("lz4", "bare"), image.shape, "uint32"), image)


def test_uncompressed_pixels_are_copied() -> None:
    image = photons((103, 99), "uint16", 65535)
    assert np.array_equal(unpacked(image.tobytes(), Encoding(), image.shape, "uint16"), image)


def test_a_real_eiger2_16m_frame_is_unpacked(shared: Path) -> None:
    payload = (shared / "wire" / "eiger2_16m_frame_sample.bs16lz4").read_bytes()
    image = unpacked(payload, BSLZ4, (4362, 4148), "uint16")
    assert image.nbytes == 36187152
    assert np.count_nonzero(image == 1) == 244
    assert np.count_nonzero(image > 1) == 1253077  # the mask, and three hot pixels
    blocks = np.frombuffer(payload, np.uint8)[12:]
    assert np.array_equal(image, hdf5_bitshuffle.decompress_lz4(blocks, image.shape, image.dtype))


def test_simulated_diffraction_is_unpacked_as_hdf5_reads_it(shared: Path) -> None:
    with h5py.File(shared / "frames" / "lysozyme_4m.h5") as file:
        data = file["/entry/data/data"]
        chunk = data.id.read_direct_chunk((0, 0, 0))[1]
        assert np.array_equal(unpacked(chunk, BSLZ4, data.shape[1:], "uint16"), data[0])


def test_threads_do_not_get_in_each_others_way() -> None:
    images = [photons((200, 210), "uint16", 60000, seed) for seed in range(4)]
    packed = [header(i) + hdf5_bitshuffle.compress_zstd(i, 4096) for i in images]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(20):
            if not np.array_equal(unpacked(packed[which], Encoding("bszstd"), (200, 210), "uint16"), images[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


IMAGE = photons((64, 129), "uint16", 65535)
PACKED = bslz4(IMAGE)
BARE = lz4.block.compress(IMAGE.tobytes(), store_size=False)


@pytest.mark.parametrize(
    ("payload", "encoding", "text"),
    [
        (PACKED[:5], BSLZ4, "packed pixels begin with 12 bytes of header, found 5 bytes in all"),
        (b"\0" * 12 + PACKED[12:], BSLZ4, "the pixels take 16512 bytes, the header says 0"),
        (b"\xff" * 8 + PACKED[8:], BSLZ4, "the pixels take 16512 bytes, the header says 18446744073709551615"),
        (header(IMAGE, 8200) + PACKED[12:], BSLZ4, "a block takes a multiple of 16 bytes up to 16777216, found 8200"),
        (header(IMAGE, 2**30) + PACKED[12:], BSLZ4, "up to 16777216, found 1073741824"),
        (PACKED[: len(PACKED) // 2], BSLZ4, "reaches beyond the end"),
        (PACKED[:16] + b"\xff" * 100 + PACKED[116:], BSLZ4, "does not unpack to 8192 bytes"),
        (PACKED[:13], BSLZ4, "the block at byte 12 of 13 reaches beyond the end"),
        (PACKED[12:], Encoding("bszstd", "headerless"), "does not unpack to 8192 bytes"),
        (BARE[:-9], Encoding("lz4", "bare"), "the LZ4 block does not unpack to 16512 bytes"),
        (header(IMAGE, 0) + BARE, Encoding("lz4", "hdf5"), "the header says that an LZ4 block has 0 bytes"),
        (header(IMAGE) + b"\xff\xff\xff\xff" + BARE, Encoding("lz4", "hdf5"), "reaches beyond the end"),
        (header(IMAGE) + b"\0\0\0\x09" + BARE, Encoding("lz4", "hdf5"), "does not unpack to 8192 bytes"),
        (IMAGE.tobytes()[:-1], Encoding(), r"uncompressed pixels of \(64, 129\) uint16 take 16512 bytes, found 16511"),
        (b"", Encoding("zip"), "pixels packed as 'zip' in 'hdf5' framing cannot be unpacked"),
        (b"", Encoding("bslz4", "bare"), "pixels packed as 'bslz4' in 'bare' framing cannot be unpacked"),
    ],
)
def test_a_damaged_payload_is_refused_with_the_reason(payload: bytes, encoding: Encoding, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        unpacked(payload, encoding, IMAGE.shape, "uint16")


@pytest.mark.parametrize(
    ("out", "text"),
    [
        (np.empty((64, 128), np.uint16), r"of \(64, 129\) uint16 do not fit an array of \(64, 128\) uint16"),
        (np.empty((64, 129), np.int16), "do not fit an array of"),
        (np.empty((64, 258), np.uint16)[:, ::2], "only be unpacked into a writeable array in C order"),
        (np.broadcast_to(np.uint16(0), (64, 129)), "only be unpacked into a writeable array in C order"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(out: NDArray[Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        decompress(PACKED, BSLZ4, (64, 129), "uint16", out)


def test_bitshuffled_pixels_of_8_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"bitshuffled pixels have 1, 2 or 4 bytes, found 8 \(float64\)"):
        unpacked(header(np.zeros((2, 8))) + b"", BSLZ4, (2, 8), "float64")


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_a_payload_with_damage_anywhere_unpacks_or_is_refused(data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from([PACKED, header(IMAGE) + bytes(4) + BARE, BARE])))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    del payload[data.draw(st.integers(0, 2 * len(payload))) :]
    encoding = data.draw(st.sampled_from([BSLZ4, Encoding("bszstd"), Encoding("lz4", "hdf5"), Encoding("lz4", "bare")]))
    try:
        unpacked(bytes(payload), encoding, IMAGE.shape, "uint16")
    except ValueError as error:
        assert len(str(error)) > 20


@pytest.mark.parametrize(("framing", "ahead"), [("headerless", b""), ("zero_header", bytes(12)), ("hdf5", PACKED[:12])])
def test_bitshuffled_payloads_become_chunks_that_hdf5_reads(tmp_path: Path, framing: str, ahead: bytes) -> None:
    chunk = as_hdf5_chunk(ahead + PACKED[12:], Encoding("bslz4", framing), IMAGE.shape, "uint16")
    with h5py.File(tmp_path / "chunk.h5", "w") as file:
        data = file.create_dataset(
            "data", (1, *IMAGE.shape), "u2", chunks=(1, *IMAGE.shape), compression=hdf5plugin.Bitshuffle(cname="lz4")
        )
        data.id.write_direct_chunk((0, 0, 0), chunk)
    with h5py.File(tmp_path / "chunk.h5") as file:
        assert np.array_equal(file["data"][0], IMAGE)


def test_payloads_packed_otherwise_are_no_bitshuffle_chunks() -> None:
    assert as_hdf5_chunk(BARE, Encoding("lz4", "bare"), IMAGE.shape, "uint16") is None
    assert as_hdf5_chunk(IMAGE.tobytes(), Encoding(), IMAGE.shape, "uint16") is None
