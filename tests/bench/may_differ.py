"""What ExifTool may see differently after a write, each with its reason. Anything else that differs is a fault."""

from __future__ import annotations

import re

GROUPS = {
    "System": "the file's own name, size and times",
    "ExifTool": "ExifTool's version, warnings and errors; new warnings are looked at on their own",
    "Composite": "computed by ExifTool from other tags",
    "SourceFile": "the path",
}

TAGS = {
    r"File:(FileSize|FileType.*|MIMEType|CurrentIPTCDigest|ExifByteOrder|Comment)": "about blocks that are ours; the "
    "comment of a JPEG follows the description",
    r"XMP-x:XMPToolkit": "the name of the program that wrote the packet",
    r"XMP-xmp:MetadataDate": "set on every write, as XMP asks",
    r"(XMP-photoshop:LegacyIPTCDigest|XMP-(tiff|exif):NativeDigest)": "outdated by a change of what it covers",
    r"Photoshop:IPTCDigest": "follows the IPTC block",
    r"IPTC[0-9]*:(CodedCharacterSet|ApplicationRecordVersion)": "all texts are UTF-8 after a change, and say so",
    r"(IFD\d|SubIFD\d*|ExifIFD|MPImage\d|MPF\d|PreviewIFD|.*):(ThumbnailOffset|PreviewImageStart|OtherImageStart|"
    r"JpgFromRawStart|MPImageStart|StripOffsets|TileOffsets|MakerNoteOffset|.*Offsets?)": "a place in the file; what "
    "is there is compared by its content",
    r"(QuickTime|Jpeg2000|ICC_Profile|Track\d+):MediaData(Offset|Size)": "a place in the file",
    r"File:ID3Size|FLAC:Padding|Meta:Free|QuickTime:Free": "room that metadata take, or leave",
    r"Photoshop:Photoshop_Unknown_0x04(04|25)": "IPTC and its digest under a signature that ExifTool does not know",
    r"RIFF:Unknown_ID3": "a whole ID3 tag that ExifTool does not take apart there; its frames are forms",
    r"File:PageCount": "counted by ExifTool",
    r"PDF:(Linearized|PDFVersion)": "a file with an increment is no longer linearized",
    r"ExifIFD:ExifVersion|GPS:GPSVersionID": "made with the directory that a position or a date needs",
    r"XMP-photoshop:SidecarForExtension": "says whose sidecar it is",
    r"RIFF:(AlphaTransparency|WebP_Flags)": "the flags of WebP say that there is metadata",
}


def may_differ(name: str) -> bool:
    """Whether the tag `group:name` may differ."""
    return name.partition(":")[0] in GROUPS or any(re.fullmatch(pattern, name) for pattern in TAGS)
