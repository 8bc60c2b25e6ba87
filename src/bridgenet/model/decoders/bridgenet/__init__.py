"""The paper's decoder, in the paper's words: TPP, BFE, TFR."""

from bridgenet.model.decoders.bridgenet.decoder import BridgeNetDecoder

__all__ = ["BridgeNetDecoder"]
