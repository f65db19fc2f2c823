"""The ways to run the dataplane that the tests go through."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Kind:
    driver: str
    workers: int
    unfinished_checksums: bool = False  # the far ends of the cables leave checksums to a NIC that is none
    huge_pages: bool = True

    def __str__(self):
        return (f"{self.driver}-{self.workers}" + ("-unfinished" if self.unfinished_checksums else "")
                + ("" if self.huge_pages else "-ordinary-pages"))


AF_PACKET_1 = Kind("af_packet", 1)
AF_PACKET_2 = Kind("af_packet", 2)
AF_XDP_1 = Kind("af_xdp", 1)
AF_XDP_2 = Kind("af_xdp", 2)
EVERY_WAY = [AF_PACKET_1, AF_PACKET_2, AF_XDP_1, AF_XDP_2]
UNFINISHED = [Kind("af_packet", 1, True), Kind("af_xdp", 1, True)]
ORDINARY_PAGES = Kind("af_packet", 1, huge_pages=False)
